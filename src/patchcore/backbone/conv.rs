//! A convolution with its batch normalisation folded in, and its activation.

use super::Target;
use crate::patchcore::error::{EngineError, TorchContext};
use crate::patchcore::weights::StateDict;
use tch::{TchError, Tensor};

/// What follows a convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Activation {
    None,
    Relu,
    Relu6,
}

/// Zeros around the input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Padding {
    /// As many on each side: torch's way.
    Fixed(i64),
    /// As many as make the output `ceil(input / stride)`, the odd one at the bottom and right: TensorFlow's "same".
    Same,
}

/// The fixed properties of a convolution; its weight is `[outputs, inputs / groups, kernel, kernel]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub inputs: i64,
    pub outputs: i64,
    pub kernel: i64,
    pub stride: i64,
    pub groups: i64,
    pub padding: Padding,
    pub activation: Activation,
    /// Epsilon of the batch normalisation.
    pub epsilon: f64,
}

/// A convolution ready to run.
#[derive(Debug)]
pub(super) struct Conv {
    shape: Shape,
    weight: Tensor,
    bias: Tensor,
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
            let ready = Conv { shape, weight: channels_last(&target.place(&weight)?)?, bias: target.place(&bias)? };
            Ok::<_, TchError>((ready, sum.is_finite()))
        };
        let (ready, finite) = folded().doing("folding the batch normalisation")?;
        if finite { Ok(ready) } else { Err(dict.damaged(&format!("{conv} or {bn}"))) }
    }

    /// `[1, inputs, H, W]` → `[1, outputs, ceil(H / stride), ceil(W / stride)]`, both channels-last.
    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor, TchError> {
        let Shape { kernel, stride, groups, .. } = self.shape;
        let convolve =
            |input: &Tensor, padding: [i64; 2]| input.f_conv2d(&self.weight, Some(&self.bias), [stride, stride], padding, [1, 1], groups);
        let mut output = match self.shape.padding {
            Padding::Fixed(n) => convolve(input, [n, n])?,
            Padding::Same => {
                let (_, _, height, width) = input.size4()?;
                let (rows, columns) = (same_padding(height, kernel, stride), same_padding(width, kernel, stride));
                if rows % 2 == 0 && columns % 2 == 0 {
                    convolve(input, [rows / 2, columns / 2])?
                } else {
                    let sides = [columns / 2, columns - columns / 2, rows / 2, rows - rows / 2];
                    convolve(&input.f_constant_pad_nd(sides)?, [0, 0])?
                }
            }
        };
        match self.shape.activation {
            Activation::None => Ok(output),
            Activation::Relu => output.f_relu_(),
            Activation::Relu6 => output.f_clamp_(0.0, 6.0),
        }
    }
}

/// Zeros to add along one side, both ends together.
fn same_padding(length: i64, kernel: i64, stride: i64) -> i64 {
    let output = (length + stride - 1) / stride;
    ((output - 1) * stride + kernel - length).max(0)
}

/// The same tensor with its channels innermost in memory, which libtorch's CPU convolutions are fastest at.
fn channels_last(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::same_padding;

    #[test]
    fn same_padding_is_tensorflows() {
        for (length, kernel, stride, padding) in
            [(224, 3, 2, 1), (225, 3, 2, 2), (56, 5, 2, 3), (57, 5, 2, 4), (14, 5, 1, 4), (7, 1, 1, 0), (1, 3, 2, 2)]
        {
            assert_eq!(same_padding(length, kernel, stride), padding, "{length} {kernel} {stride}");
        }
    }
}
