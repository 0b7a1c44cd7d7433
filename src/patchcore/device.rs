//! Where the network runs, and in which number format.

use super::error::EngineError;
use crate::domain::{DeviceChoice, Precision, PrecisionChoice};

/// The precision that the choices come to on this machine.
///
/// `auto` is bfloat16 on CUDA and on processors with AVX512-BF16 (which every processor with AMX has too), else float32:
/// without such instructions bfloat16 is emulated and slower than float32.
pub fn resolve_precision(device: DeviceChoice, precision: PrecisionChoice) -> Precision {
    match precision {
        PrecisionChoice::Fixed(precision) => precision,
        PrecisionChoice::Auto if on_cuda(device) || cpu_has_bfloat16() => Precision::Bfloat16,
        PrecisionChoice::Auto => Precision::Float32,
    }
}

/// Sets how many threads libtorch uses within one operation, for the whole process; 0 = all cores.
pub fn set_threads(threads: usize) {
    let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if threads == 0 { all } else { threads };
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
}

/// The torch device of a choice.
pub(crate) fn resolve_device(device: DeviceChoice) -> Result<tch::Device, EngineError> {
    match device {
        DeviceChoice::Cpu => Ok(tch::Device::Cpu),
        DeviceChoice::Auto => Ok(tch::Device::cuda_if_available()),
        DeviceChoice::Cuda(n) => {
            let found = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
            if n < found {
                return Ok(tch::Device::Cuda(n));
            }
            let reason = match found {
                0 => "this libtorch sees no CUDA device; use `device: cpu`, or install a CUDA build of libtorch and the driver".to_owned(),
                _ => format!("there are {found} CUDA devices, numbered from 0; use one of them or `device: auto`"),
            };
            Err(EngineError::Device { device: device.to_string(), reason })
        }
    }
}

fn on_cuda(device: DeviceChoice) -> bool {
    match device {
        DeviceChoice::Cpu => false,
        DeviceChoice::Auto => tch::Cuda::is_available(),
        DeviceChoice::Cuda(_) => true,
    }
}

#[cfg(target_arch = "x86_64")]
fn cpu_has_bfloat16() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_has_bfloat16() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_precision_is_taken_as_named() {
        for precision in [Precision::Float32, Precision::Bfloat16] {
            assert_eq!(resolve_precision(DeviceChoice::Cpu, PrecisionChoice::Fixed(precision)), precision);
        }
        let expected = if cpu_has_bfloat16() { Precision::Bfloat16 } else { Precision::Float32 };
        assert_eq!(resolve_precision(DeviceChoice::Cpu, PrecisionChoice::Auto), expected);
        assert_eq!(resolve_precision(DeviceChoice::Cuda(0), PrecisionChoice::Auto), Precision::Bfloat16);
    }

    #[test]
    fn a_missing_cuda_device_is_named() {
        let error = resolve_device(DeviceChoice::Cuda(4096)).unwrap_err().to_string();
        assert!(error.starts_with("device cuda:4096 is not available: "), "{error}");
        assert_eq!(resolve_device(DeviceChoice::Cpu).unwrap(), tch::Device::Cpu);
    }
}
