//! A convolution with its batch normalisation folded in, and its activation.

use super::kernel::{Kernel, Ready};
use super::shape::{Activation, Shape};
use super::shim::Fused;
use super::target::Target;
use crate::patchcore::error::{EngineError, TorchContext};
use crate::patchcore::weights::StateDict;
use tch::{TchError, Tensor};

/// A convolution ready to run.
#[derive(Debug)]
pub(super) struct Conv {
    shape: Shape,
    kernel: Kernel,
    bias: Tensor,
    /// Through oneDNN's fused operators, else through libtorch's own.
    fused: bool,
}

impl Conv {
    /// Takes `CONV.weight` and `BN.{weight,bias,running_mean,running_var}` and folds them in float64:
    /// `scale = weight / sqrt(running_var + epsilon)`, kernel · scale, bias − running_mean · scale.
    pub(super) fn load(dict: &mut StateDict, conv: &str, bn: &str, shape: Shape, target: Target) -> Result<Self, EngineError> {
        let Shape { inputs, outputs, kernel, groups, .. } = shape;
        let weight = dict.take(&format!("{conv}.weight"), &[outputs, inputs / groups, kernel, kernel])?;
        let gamma = dict.take(&format!("{bn}.weight"), &[outputs])?;
        let beta = dict.take(&format!("{bn}.bias"), &[outputs])?;
        let mean = dict.take(&format!("{bn}.running_mean"), &[outputs])?;
        let variance = dict.take(&format!("{bn}.running_var"), &[outputs])?;
        let folded = || {
            let scale = gamma.f_div(&variance.f_add_scalar(shape.epsilon)?.f_sqrt()?)?;
            let weight = weight.f_mul(&scale.f_view([-1, 1, 1, 1])?)?;
            let bias = beta.f_sub(&mean.f_mul(&scale)?)?;
            let sum = weight.f_sum(None)?.f_double_value(&[])? + bias.f_sum(None)?.f_double_value(&[])?;
            let kernel = Kernel::new(target.place(&weight)?, target.fused)?;
            let ready = Conv { shape, kernel, bias: target.place(&bias)?, fused: target.fused };
            Ok::<_, TchError>((ready, sum.is_finite()))
        };
        let (ready, finite) = folded().doing("folding the batch normalisation")?;
        if finite { Ok(ready) } else { Err(dict.damaged(&format!("{conv} or {bn}"))) }
    }

    /// `[1, inputs, H, W]` → `[1, outputs, ceil(H / stride), ceil(W / stride)]`, both channels-last.
    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor, TchError> {
        let ready = self.kernel.for_input(&self.shape, input)?;
        if self.fused {
            return self.fused(&ready).convolve(input);
        }
        self.activate(self.convolve(&ready, input)?)
    }

    /// `activation(convolution(input) + shortcut)`, written over `shortcut`; the activation is not [`Activation::Relu6`].
    pub(super) fn forward_onto(&self, input: &Tensor, mut shortcut: Tensor) -> Result<Tensor, TchError> {
        let ready = self.kernel.for_input(&self.shape, input)?;
        if self.fused {
            return self.fused(&ready).convolve_onto(input, shortcut);
        }
        self.activate(shortcut.f_add_(&self.convolve(&ready, input)?)?)
    }

    fn fused<'a>(&'a self, ready: &'a Ready) -> Fused<'a> {
        let Shape { stride, groups, activation, .. } = self.shape;
        Fused { weight: &ready.weight, bias: &self.bias, padding: ready.padding, stride, groups, activation }
    }

    fn convolve(&self, ready: &Ready, input: &Tensor) -> Result<Tensor, TchError> {
        let Shape { stride, groups, .. } = self.shape;
        input.f_conv2d(&ready.weight, Some(&self.bias), [stride, stride], ready.padding, [1, 1], groups)
    }

    fn activate(&self, mut output: Tensor) -> Result<Tensor, TchError> {
        match self.shape.activation {
            Activation::None => Ok(output),
            Activation::Relu => output.f_relu_(),
            Activation::Relu6 => output.f_clamp_(0.0, 6.0),
        }
    }
}
