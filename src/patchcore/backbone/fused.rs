//! oneDNN's fused convolutions: bias, addition and activation in the pass that convolves, on weights packed beforehand. Here are the
//! packing and the question whether they work; `shim` calls them.
//!
//! libtorch has them as the operators `mkldnn::_convolution_pointwise` and `mkldnn::_convolution_pointwise_.binary`.

use super::shape::Activation;
use super::shim::Fused;
use crate::patchcore::error::brief;
use tch::{Device, Kind, TchError, Tensor};

/// `weight` (any layout) in the order that oneDNN takes for an input of `input` = `[1, C, H, W]`. Other input sizes give the same
/// values with it, but may reorder it again in every call.
pub(super) fn pack(weight: &Tensor, padding: [i64; 2], stride: i64, groups: i64, input: [i64; 4]) -> Result<Tensor, TchError> {
    weight.f_to_mkldnn(None)?.f_mkldnn_reorder_conv2d_weight(padding, [stride, stride], [1, 1], groups, &input[..])
}

/// Whether this libtorch and this processor have these convolutions for `kind` on `device`, found out by doing one.
pub(super) fn works(device: Device, kind: Kind) -> bool {
    if device != Device::Cpu {
        return false;
    }
    let answer = tch::no_grad(|| probe(kind)).map_err(brief);
    if !matches!(answer, Ok(true)) {
        tracing::info!(?kind, ?answer, "no fused convolutions here, the plain ones are slower");
    }
    answer.unwrap_or(false)
}

/// Sixteen ones times a weight of ½, plus the bias 1, limited to 6; and added to 2.
fn probe(kind: Kind) -> Result<bool, TchError> {
    let full = |size: &[i64], value: f64| Tensor::f_full(size, value, (kind, Device::Cpu));
    let (input, bias) = (full(&[1, 2, 2, 16], 1.0)?.f_permute([0, 3, 1, 2])?, full(&[16], 1.0)?);
    let weight = pack(&full(&[16, 16, 1, 1], 0.5)?, [0, 0], 1, 1, [1, 16, 2, 2])?;
    let fused = |activation| Fused { weight: &weight, bias: &bias, padding: [0, 0], stride: 1, groups: 1, activation };
    let limited = fused(Activation::Relu6).convolve(&input)?;
    let added = fused(Activation::Relu).convolve_onto(&input, full(&[1, 2, 2, 16], 2.0)?.f_permute([0, 3, 1, 2])?)?;
    let all = |tensor: &Tensor, value: f64| tensor.f_equal(&full(&[1, 16, 2, 2], value)?);
    Ok(all(&limited, 6.0)? && all(&added, 11.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_in_cpp_is_an_error_here() {
        let tensor = |size: &[i64]| Tensor::f_zeros(size, (Kind::Float, Device::Cpu)).unwrap();
        let (weight, bias) = (tensor(&[4, 3, 1, 1]), tensor(&[4]));
        let fused = Fused { weight: &weight, bias: &bias, padding: [0, 0], stride: 1, groups: 1, activation: Activation::Relu6 };
        let error = fused.convolve(&tensor(&[1, 5, 2, 2])).unwrap_err().to_string();
        assert!(error.contains("to have 3 channels, but got 5 channels instead"), "{error}");
        let error = fused.convolve_onto(&tensor(&[1, 3, 2, 2]), tensor(&[1, 4, 2, 2])).unwrap_err().to_string();
        assert!(error.contains("relu6 cannot follow an addition"), "{error}");
    }

    #[test]
    fn the_operators_are_found_where_they_should_be() {
        assert!(!works(Device::Cuda(0), Kind::Float));
        assert!(!works(Device::Cpu, Kind::Int64));
        // Every processor with AVX2 has the float32 ones.
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            assert!(works(Device::Cpu, Kind::Float));
        }
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx512bw") {
            assert!(works(Device::Cpu, Kind::BFloat16));
        }
    }
}
