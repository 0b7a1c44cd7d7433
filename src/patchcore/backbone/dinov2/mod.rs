//! DINOv2 ViT-S/14 and ViT-B/14 with the names of the published state dicts: `cls_token pos_embed register_tokens patch_embed.proj
//! blocks.N.{norm1,attn.qkv,attn.proj,ls1,norm2,mlp.fc1,mlp.fc2,ls2} norm`. A state dict with `register_tokens` is that of a model with
//! four registers.
//!
//! "DINOv2: Learning Robust Visual Features without Supervision", arXiv:2304.07193; registers: arXiv:2309.16588.
//!
//! A layer is the output of a block after the final normalisation, as upstream's `get_intermediate_layers(norm=True)` gives it. So does
//! AnomalyDINO (arXiv:2405.14529), which compares patches of DINOv2 as PatchCore does. Without the normalisation, the tokens grow from
//! block to block and a few channels are far larger than the others: these, and the last layer, would decide every distance.

mod block;
mod linear;
mod positions;

use super::network::{Network, depth};
use super::target::Target;
use crate::domain::Layer;
use crate::patchcore::error::{EngineError, TorchContext};
use crate::patchcore::weights::StateDict;
use block::TransformerBlock;
use linear::Norm;
use positions::{Positions, Resampling};
use tch::{Kind, TchError, Tensor};

/// The sizes that differ between the models.
pub(super) struct Layout {
    /// Values per token.
    pub channels: i64,
    heads: i64,
}

pub(super) const VITS14: Layout = Layout { channels: 384, heads: 6 };
pub(super) const VITB14: Layout = Layout { channels: 768, heads: 12 };

const BLOCKS: usize = 12;
/// Pixels along a side of a patch.
const PATCH: i64 = 14;
/// Patches along a side of the images that the model was trained on last: 518 pixels.
const TRAINED_SIDE: i64 = 37;
const REGISTERS: i64 = 4;

/// A vision transformer.
pub(super) struct VisionTransformer {
    /// Kernel `[C, 3, 14, 14]` and bias `[C]` that turn a patch of pixels into a token.
    patch_weight: Tensor,
    patch_bias: Tensor,
    /// The tokens that are no patches, `[1, 1 + registers, C]` float32: the class token with its position, then the registers.
    prefix: Tensor,
    positions: Positions,
    blocks: Vec<TransformerBlock>,
    norm: Norm,
}

/// Takes the network's tensors from `dict`.
pub(super) fn load(layout: &Layout, dict: &mut StateDict, target: &Target) -> Result<VisionTransformer, EngineError> {
    let Layout { channels, heads } = *layout;
    let patch_weight = dict.take_finite("patch_embed.proj.weight", &[channels, 3, PATCH, PATCH])?;
    let patch_bias = dict.take_finite("patch_embed.proj.bias", &[channels])?;
    let class = dict.take_finite("cls_token", &[1, 1, channels])?;
    let positions = dict.take_finite("pos_embed", &[1, 1 + TRAINED_SIDE * TRAINED_SIDE, channels])?;
    let (registers, resampling) = if dict.has("register_tokens") {
        (Some(dict.take_finite("register_tokens", &[1, REGISTERS, channels])?), Resampling::Antialias)
    } else {
        (None, Resampling::Offset)
    };
    let blocks =
        (0..BLOCKS).map(|n| TransformerBlock::load(dict, &format!("blocks.{n}"), channels, heads, target)).collect::<Result<_, _>>()?;
    let norm = Norm::load(dict, "norm", channels, target)?;
    let assemble = || {
        let class = class.f_add(&positions.f_slice(1, 0, 1, 1)?)?;
        let prefix = Tensor::f_cat(&std::iter::once(class).chain(registers).collect::<Vec<_>>(), 1)?;
        let patches = target.place_float32(&positions.f_slice(1, 1, None, 1)?)?;
        Ok(VisionTransformer {
            patch_weight: target.place(&patch_weight)?,
            patch_bias: target.place(&patch_bias)?,
            prefix: target.place_float32(&prefix)?,
            positions: Positions::new(&patches, TRAINED_SIDE, resampling)?,
            blocks,
            norm,
        })
    };
    assemble().doing("loading the weights")
}

impl Network for VisionTransformer {
    fn features(&self, input: &Tensor, layers: &[Layer]) -> Result<Vec<Tensor>, TchError> {
        let patches = input.f_conv2d(&self.patch_weight, Some(&self.patch_bias), [PATCH, PATCH], [0, 0], [1, 1], 1)?;
        let (_, channels, height, width) = patches.size4()?;
        let patches = patches.f_flatten(2, 3)?.f_transpose(1, 2)?.f_to_kind(Kind::Float)?;
        let patches = patches.f_add(&self.positions.of_grid(height, width)?)?;
        let mut tokens = Tensor::f_cat(&[&self.prefix, &patches], 1)?;
        let (_, before, _) = self.prefix.size3()?;
        let mut maps = [const { None }; BLOCKS];
        for (number, (block, map)) in self.blocks.iter().zip(&mut maps).enumerate().take(depth(layers)) {
            block.forward(&mut tokens)?;
            if layers.iter().any(|layer| layer.depth() == number) {
                let normal = self.norm.forward(&tokens.f_slice(1, before, None, 1)?)?;
                *map = Some(normal.f_view([1, height, width, channels])?.f_permute([0, 3, 1, 2])?);
            }
        }
        Ok(layers.iter().filter_map(|layer| Some(maps.get(layer.depth())?.as_ref()?.shallow_clone())).collect())
    }
}
