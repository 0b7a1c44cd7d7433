//! Where a network runs.

use super::fused;
use super::ranges::{ActivationRanges, RangeMeter};
use std::sync::Arc;
use tch::{Device, Kind, TchError, Tensor};

/// Where a network runs and in which number format.
#[derive(Debug, Clone)]
pub(in crate::patchcore) struct Target {
    pub device: Device,
    pub kind: Kind,
    pub way: Way,
}

/// How convolutions are computed.
#[derive(Debug, Clone)]
pub(in crate::patchcore) enum Way {
    /// By libtorch's own.
    Plain,
    /// By oneDNN's, with what follows them in the same pass.
    Fused,
    /// The same, and the values of each map are measured.
    Measured(RangeMeter),
    /// By oneDNN's 8-bit ones; maps reach as far as these.
    Int8(Arc<ActivationRanges>),
}

impl Target {
    /// With the fused convolutions where this libtorch and this processor have them, else libtorch's plain ones.
    pub(in crate::patchcore) fn new(device: Device, kind: Kind) -> Self {
        let way = if fused::works(device, kind) { Way::Fused } else { Way::Plain };
        Target { device, kind, way }
    }

    /// 8-bit convolutions on the processor, for maps of these ranges.
    pub(in crate::patchcore) fn int8(ranges: ActivationRanges) -> Self {
        Target { device: Device::Cpu, kind: Kind::Float, way: Way::Int8(Arc::new(ranges)) }
    }

    /// The tensor on this device as float32, for what bfloat16 is too coarse for.
    pub(super) fn place_float32(&self, tensor: &Tensor) -> Result<Tensor, TchError> {
        tensor.f_to_kind(Kind::Float)?.f_to_device(self.device)
    }

    /// The tensor on this device in this format.
    pub(super) fn place(&self, tensor: &Tensor) -> Result<Tensor, TchError> {
        // float64 goes to float32 first, so that bfloat16 weights are the rounded float32 ones as in torch.
        tensor.f_to_kind(Kind::Float)?.f_to_kind(self.kind)?.f_to_device(self.device)
    }
}
