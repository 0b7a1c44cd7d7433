//! The two kinds of parts that a transformer is made of: products with a matrix, and normalisations.

use super::super::target::Target;
use crate::patchcore::error::{EngineError, TorchContext};
use crate::patchcore::weights::StateDict;
use tch::{TchError, Tensor};

/// `x · weightᵀ + bias`.
pub(super) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Takes `NAME.weight` `[outputs, inputs]` and `NAME.bias` `[outputs]`.
    pub(super) fn load(dict: &mut StateDict, name: &str, inputs: i64, outputs: i64, target: &Target) -> Result<Self, EngineError> {
        let (weight, bias) = Self::take(dict, name, inputs, outputs)?;
        Self::place(&weight, &bias, target).doing("loading the weights")
    }

    /// The same, and folds the `gamma` `[outputs]` of a layer scale into it, in float64: each output is multiplied by it.
    pub(super) fn load_scaled(
        dict: &mut StateDict,
        name: &str,
        gamma: &str,
        inputs: i64,
        outputs: i64,
        target: &Target,
    ) -> Result<Self, EngineError> {
        let (weight, bias) = Self::take(dict, name, inputs, outputs)?;
        let gamma = dict.take_finite(gamma, &[outputs])?;
        let scaled = || Self::place(&weight.f_mul(&gamma.f_view([-1, 1])?)?, &bias.f_mul(&gamma)?, target);
        scaled().doing("folding the layer scale")
    }

    fn take(dict: &mut StateDict, name: &str, inputs: i64, outputs: i64) -> Result<(Tensor, Tensor), EngineError> {
        Ok((dict.take_finite(&format!("{name}.weight"), &[outputs, inputs])?, dict.take_finite(&format!("{name}.bias"), &[outputs])?))
    }

    fn place(weight: &Tensor, bias: &Tensor, target: &Target) -> Result<Self, TchError> {
        Ok(Self { weight: target.place(weight)?, bias: target.place(bias)? })
    }

    /// `[1, N, inputs]` → `[1, N, outputs]`, both in the number format of the network.
    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor, TchError> {
        input.f_linear(&self.weight, Some(&self.bias))
    }
}

/// A normalisation of each token to mean 0 and variance 1, then scaled and shifted; in float32.
pub(super) struct Norm {
    weight: Tensor,
    bias: Tensor,
}

/// Added to the variance, as upstream does.
const EPSILON: f64 = 1e-6;

impl Norm {
    /// Takes `NAME.weight` and `NAME.bias`, both `[channels]`.
    pub(super) fn load(dict: &mut StateDict, name: &str, channels: i64, target: &Target) -> Result<Self, EngineError> {
        let mut take = |part: &str| {
            let tensor = dict.take_finite(&format!("{name}.{part}"), &[channels])?;
            target.place_float32(&tensor).doing("loading the weights")
        };
        Ok(Self { weight: take("weight")?, bias: take("bias")? })
    }

    /// `[1, N, channels]` → the same, float32.
    pub(super) fn forward(&self, tokens: &Tensor) -> Result<Tensor, TchError> {
        tokens.f_layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), EPSILON, true)
    }
}
