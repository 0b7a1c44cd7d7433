//! A convolution with its batch normalisation folded in, and its activation.

use super::colours::{MEAN, STD};
use super::int8::{Quantised, for_pixels};
use super::kernel::{Kernel, Order, Ready};
use super::map::Map;
use super::ranges::RangeMeter;
use super::shape::{Activation, Shape};
use super::shim::Fused;
use super::target::{Target, Way};
use crate::patchcore::error::{EngineError, TorchContext};
use crate::patchcore::weights::StateDict;
use tch::{TchError, Tensor};

/// A convolution ready to run.
#[derive(Debug)]
pub(super) struct Conv {
    shape: Shape,
    kernel: Kernel,
    bias: Tensor,
    form: Form,
}

/// How it is computed.
#[derive(Debug)]
enum Form {
    Plain,
    Fused,
    /// Fused, and what it gives is noted under the name of its weight.
    Measured(String, RangeMeter),
    Int8(Quantised),
}

impl Conv {
    /// Takes `CONV.weight` and `BN.{weight,bias,running_mean,running_var}` and folds them in float64:
    /// `scale = weight / sqrt(running_var + epsilon)`, kernel · scale, bias − running_mean · scale.
    pub(super) fn load(dict: &mut StateDict, conv: &str, bn: &str, shape: Shape, target: &Target) -> Result<Self, EngineError> {
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
            Ok::<_, TchError>((weight, bias, sum.is_finite()))
        };
        let (weight, bias, finite) = folded().doing("folding the batch normalisation")?;
        if !finite {
            return Err(dict.damaged(&format!("{conv} or {bn}")));
        }
        let made = Self::of_folded(conv, shape, &weight, &bias, target).doing("preparing the weights")?;
        made.ok_or_else(|| EngineError::BankMismatch(format!("the bank says no range of {conv} for int8; build it again")))
    }

    /// `None` when the ranges for int8 have no such convolution.
    fn of_folded(name: &str, shape: Shape, weight: &Tensor, bias: &Tensor, target: &Target) -> Result<Option<Self>, TchError> {
        let float = |order, form| {
            let kernel = Kernel::new(target.place(weight)?, order)?;
            Ok(Some(Conv { shape, kernel, bias: target.place(bias)?, form }))
        };
        match &target.way {
            Way::Plain => float(Order::ChannelsLast, Form::Plain),
            Way::Fused => float(Order::Packed, Form::Fused),
            Way::Measured(meter) => float(Order::Packed, Form::Measured(name.to_owned(), meter.clone())),
            Way::Int8(ranges) => {
                let (weight, bias) =
                    if shape.pixels { for_pixels(weight, bias, MEAN, STD)? } else { (weight.shallow_clone(), bias.shallow_clone()) };
                let Some((weight, quantised)) = Quantised::new(&weight, name, shape.activation, ranges)? else { return Ok(None) };
                let kernel = Kernel::new(weight, Order::PackedInt8(quantised.steps.shallow_clone()))?;
                Ok(Some(Conv { shape, kernel, bias: target.place_float32(&bias)?, form: Form::Int8(quantised) }))
            }
        }
    }

    /// `[1, inputs, H, W]` → `[1, outputs, ceil(H / stride), ceil(W / stride)]`.
    pub(super) fn forward(&self, input: &Map) -> Result<Map, TchError> {
        let ready = self.kernel.for_input(&self.shape, input)?;
        let output = match &self.form {
            Form::Plain => self.activate(self.convolve(&ready, &input.values)?)?,
            Form::Fused => self.fused(&ready).convolve(&input.values)?,
            Form::Measured(name, meter) => {
                let output = self.fused(&ready).convolve(&input.values)?;
                meter.note(name, &output)?;
                output
            }
            Form::Int8(quantised) => return quantised.convolve((&self.shape, &ready, &self.bias), input, None),
        };
        Ok(Map::of_floats(output))
    }

    /// `activation(convolution(input) + shortcut)`, written over `shortcut`; the activation is not [`Activation::Relu6`].
    pub(super) fn forward_onto(&self, input: &Map, mut shortcut: Map) -> Result<Map, TchError> {
        let ready = self.kernel.for_input(&self.shape, input)?;
        let output = match &self.form {
            Form::Plain => self.activate(shortcut.values.f_add_(&self.convolve(&ready, &input.values)?)?)?,
            Form::Fused => self.fused(&ready).convolve_onto(&input.values, shortcut.values)?,
            Form::Measured(name, meter) => {
                let output = self.fused(&ready).convolve_onto(&input.values, shortcut.values)?;
                meter.note(name, &output)?;
                output
            }
            Form::Int8(quantised) => return quantised.convolve((&self.shape, &ready, &self.bias), input, Some(shortcut)),
        };
        Ok(Map::of_floats(output))
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
