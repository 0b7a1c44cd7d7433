//! Convolutions in 8-bit integers: activations of one byte with a scale for each map, weights of one byte with a scale for each output
//! channel, sums in 32 bits. By oneDNN through libtorch: the operators `onednn::qconv_prepack`, `onednn::qconv2d_pointwise` and its
//! `.binary`, which libtorch's own export to int8 uses.
//!
//! "Integer-Arithmetic-Only Inference", arXiv:1712.05877; symmetric weights as in oneDNN's documentation.

use super::kernel::Ready;
use super::map::Map;
use super::ranges::ActivationRanges;
use super::scale::Scale;
use super::shape::{Activation, Shape};
use super::shim;
use crate::patchcore::error::{EngineError, brief};
use tch::{Device, Kind, TchError, Tensor};

/// The pixel that stands for zero: the mean of the three means of ImageNet's colours, so that the border of zeros is nearly grey.
const GREY: i64 = 114;

/// What the scale of a convolution's weights and output is.
#[derive(Debug)]
pub(super) struct Quantised {
    /// One for each output channel, `[outputs]` float32.
    pub steps: Tensor,
    /// As many zeros, int64: weights are symmetric.
    pub zeros: Tensor,
    output: Scale,
}

impl Quantised {
    /// The weight `[outputs, inputs / groups, kernel, kernel]` as int8, and its scales. `None` when no map of this name was measured.
    pub(super) fn new(
        weight: &Tensor,
        convolution: &str,
        activation: Activation,
        ranges: &ActivationRanges,
    ) -> Result<Option<(Tensor, Self)>, TchError> {
        let Some(largest) = ranges.of(convolution) else { return Ok(None) };
        let output = match activation {
            Activation::None => Scale::around_zero(largest),
            Activation::Relu => Scale::from_zero_to(largest),
            Activation::Relu6 => Scale::from_zero_to(largest.min(6.0)),
        };
        let steps = weight.f_abs()?.f_amax(&[1, 2, 3][..], true)?.f_clamp_min(f64::MIN_POSITIVE)?.f_div_scalar(127.0)?;
        let rounded = weight.f_div(&steps)?.f_round()?.f_clamp(-127.0, 127.0)?.f_to_kind(Kind::Int8)?;
        let steps = steps.f_view([-1])?.f_to_kind(Kind::Float)?;
        let zeros = Tensor::f_zeros(steps.size(), (Kind::Int64, Device::Cpu))?;
        Ok(Some((rounded, Quantised { steps, zeros, output })))
    }

    /// `activation(convolution(input) + bias)`. With `shortcut`, that is added before the activation, and its memory is written over.
    pub(super) fn convolve(
        &self,
        (shape, ready, bias): (&Shape, &Ready, &Tensor),
        input: &Map,
        shortcut: Option<Map>,
    ) -> Result<Map, TchError> {
        let call = shim::Int8 {
            input: &input.values,
            input_scale: input.scale()?,
            weight: &ready.weight,
            weight_steps: &self.steps,
            weight_zeros: &self.zeros,
            bias,
            padding: ready.padding,
            stride: shape.stride,
            groups: shape.groups,
            output_scale: self.output,
            // Values above 6 are beyond the range already.
            relu: shape.activation != Activation::None,
        };
        let shortcut = shortcut.map(|map| Ok::<_, TchError>((map.scale()?, map.values))).transpose()?;
        Ok(Map { values: call.convolve(shortcut)?, scale: Some(self.output) })
    }
}

/// Pixels `[1, 3, H, W]`, 0 to 255, as the map that the first convolution takes. They are rounded to whole numbers, as image files have them.
pub(super) fn pixels(floats: &Tensor) -> Result<Map, TchError> {
    let values = floats.f_round()?.f_clamp(0.0, 255.0)?.f_to_kind(Kind::Uint8)?;
    Ok(Map { values, scale: Some(Scale { step: 1.0, zero: GREY }) })
}

/// The first convolution's weight and bias for [`pixels`] in place of colours normalised by `mean` and `deviation` (0 to 1): float64.
pub(super) fn for_pixels(weight: &Tensor, bias: &Tensor, mean: [f32; 3], deviation: [f32; 3]) -> Result<(Tensor, Tensor), TchError> {
    let per_colour = |values: [f64; 3]| Tensor::f_from_slice(&values)?.f_view([1, 3, 1, 1]);
    let weight = weight.f_div(&per_colour(deviation.map(|x| f64::from(x) * 255.0))?)?;
    let grey = per_colour(mean.map(|x| GREY as f64 - f64::from(x) * 255.0))?;
    let shift = weight.f_mul(&grey)?.f_sum_dim_intlist(&[1, 2, 3][..], false, Kind::Double)?;
    Ok((weight, bias.f_add(&shift)?))
}

/// Whether this libtorch and this processor have these convolutions, found out by doing one.
pub(in crate::patchcore) fn check() -> Result<(), EngineError> {
    let missing = |reason: String| EngineError::Device { device: "cpu in int8".to_owned(), reason };
    match tch::no_grad(probe).map_err(brief) {
        Ok(true) => Ok(()),
        Ok(false) => Err(missing("this processor has no exact 8-bit products (AVX512-VNNI or AVX-VNNI); use `precision: auto`".to_owned())),
        Err(error) => Err(missing(format!("this libtorch has no 8-bit convolutions ({error}); use `precision: auto`"))),
    }
}

/// Sixteen times the largest pixel, 255, and the largest weight, 127, plus the bias 80, is 518,240; with a step of 8192 that is 63. Plus 10
/// that stand for 40,960, it is 68. Processors without VNNI add two products in 16 bits, which are too few: they give less.
fn probe() -> Result<bool, TchError> {
    let full = |size: &[i64], value: i64, kind| Tensor::f_full(size, value, (kind, Device::Cpu));
    let scale = |step, zero| Scale { step, zero };
    let map = |value| full(&[1, 2, 2, 16], value, Kind::Uint8)?.f_permute([0, 3, 1, 2]);
    let steps = full(&[16], 1, Kind::Float)?;
    let (weight, input_scale) = (full(&[16, 16, 1, 1], 127, Kind::Int8)?, scale(1.0, 0));
    let packed = shim::pack_int8(&weight, &steps, input_scale, [0, 0], 1, 1, [1, 16, 2, 2])?;
    let call = shim::Int8 {
        input: &map(255)?,
        input_scale,
        weight: &packed,
        weight_steps: &steps,
        weight_zeros: &full(&[16], 0, Kind::Int64)?,
        bias: &full(&[16], 80, Kind::Float)?,
        padding: [0, 0],
        stride: 1,
        groups: 1,
        output_scale: scale(8192.0, 0),
        relu: true,
    };
    let all = |tensor: &Tensor, value| tensor.f_equal(&map(value)?);
    Ok(all(&call.convolve(None)?, 63)? && all(&call.convolve(Some((scale(4096.0, 0), map(10)?)))?, 68)?)
}
