//! Where a network runs.

use super::fused;
use tch::{Device, Kind, TchError, Tensor};

/// Where a network runs and in which number format.
#[derive(Debug, Clone, Copy)]
pub(in crate::patchcore) struct Target {
    pub device: Device,
    pub kind: Kind,
    /// Through oneDNN's fused convolutions.
    pub fused: bool,
}

impl Target {
    /// With the fused convolutions where this libtorch and this processor have them, else libtorch's plain ones.
    pub(in crate::patchcore) fn new(device: Device, kind: Kind) -> Self {
        Target { device, kind, fused: fused::works(device, kind) }
    }

    /// The tensor on this device as float32, for what bfloat16 is too coarse for.
    pub(super) fn place_float32(self, tensor: &Tensor) -> Result<Tensor, TchError> {
        tensor.f_to_kind(Kind::Float)?.f_to_device(self.device)
    }

    /// The tensor on this device in this format.
    pub(super) fn place(self, tensor: &Tensor) -> Result<Tensor, TchError> {
        // float64 goes to float32 first, so that bfloat16 weights are the rounded float32 ones as in torch.
        tensor.f_to_kind(Kind::Float)?.f_to_kind(self.kind)?.f_to_device(self.device)
    }
}
