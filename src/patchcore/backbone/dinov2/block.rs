//! A block of the transformer: attention between the tokens, then a perceptron on each.
//!
//! "Attention Is All You Need", arXiv:1706.03762; normalisations before each half, arXiv:2002.04745; layer scale, arXiv:2103.17239.

use super::super::target::Target;
use super::linear::{Linear, Norm};
use crate::patchcore::error::EngineError;
use crate::patchcore::weights::StateDict;
use tch::{Kind, TchError, Tensor};

/// The perceptron is this many times as wide as the tokens.
const MLP_RATIO: i64 = 4;

/// One block; the layer scales are folded into `proj` and `fc2`.
pub(super) struct TransformerBlock {
    norm1: Norm,
    qkv: Linear,
    proj: Linear,
    norm2: Norm,
    fc1: Linear,
    fc2: Linear,
    heads: i64,
    kind: Kind,
}

impl TransformerBlock {
    /// Takes `NAME.{norm1,attn.qkv,attn.proj,ls1,norm2,mlp.fc1,mlp.fc2,ls2}` for tokens of `channels` values.
    pub(super) fn load(dict: &mut StateDict, name: &str, channels: i64, heads: i64, target: &Target) -> Result<Self, EngineError> {
        let wide = channels * MLP_RATIO;
        let of = |part: &str| format!("{name}.{part}");
        Ok(Self {
            norm1: Norm::load(dict, &of("norm1"), channels, target)?,
            qkv: Linear::load(dict, &of("attn.qkv"), channels, 3 * channels, target)?,
            proj: Linear::load_scaled(dict, &of("attn.proj"), &of("ls1.gamma"), channels, channels, target)?,
            norm2: Norm::load(dict, &of("norm2"), channels, target)?,
            fc1: Linear::load(dict, &of("mlp.fc1"), channels, wide, target)?,
            fc2: Linear::load_scaled(dict, &of("mlp.fc2"), &of("ls2.gamma"), wide, channels, target)?,
            heads,
            kind: target.kind,
        })
    }

    /// Adds what the block finds to the tokens `[1, N, C]`. They stay float32 whatever the number format of the products: sums over
    /// twelve blocks would lose too much in bfloat16.
    pub(super) fn forward(&self, tokens: &mut Tensor) -> Result<(), TchError> {
        let normal = self.norm1.forward(tokens)?.f_to_kind(self.kind)?;
        let attended = self.attention(&normal)?;
        let _ = tokens.f_add_(&self.proj.forward(&attended)?)?;
        let normal = self.norm2.forward(tokens)?.f_to_kind(self.kind)?;
        let wide = self.fc1.forward(&normal)?.f_gelu_("none")?;
        let _ = tokens.f_add_(&self.fc2.forward(&wide)?)?;
        Ok(())
    }

    /// `[1, N, C]` → `[1, N, C]`: each head mixes the tokens by `softmax(q · kᵀ / √d)`.
    fn attention(&self, normal: &Tensor) -> Result<Tensor, TchError> {
        let (_, count, channels) = normal.size3()?;
        let size = [1, count, 3, self.heads, channels / self.heads];
        let qkv = self.qkv.forward(normal)?.f_view(size)?.f_permute([2, 0, 3, 1, 4])?;
        let [q, k, v] = [0, 1, 2].map(|part| qkv.f_select(0, part));
        let mixed = Tensor::f_scaled_dot_product_attention(&q?, &k?, &v?, None::<&Tensor>, 0.0, false, None, false)?;
        mixed.f_transpose(1, 2)?.f_reshape([1, count, channels])
    }
}
