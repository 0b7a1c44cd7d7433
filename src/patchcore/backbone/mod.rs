//! The networks that make the features: weights in, feature maps out.

mod conv;
mod efficientnet_lite;
mod fused;
mod kernel;
mod resnet;

use super::error::EngineError;
use super::weights::StateDict;
use crate::inspection::{Backbone, Layer};
use tch::{Device, Kind, TchError, Tensor};

/// Channels of the map that `layer` of `backbone` gives.
pub fn channels(backbone: Backbone, layer: Layer) -> i64 {
    let of = |channels: [i64; 4]| channels[layer as usize];
    match backbone {
        Backbone::Resnet18 | Backbone::Resnet34 => of([64, 128, 256, 512]),
        Backbone::Resnet50 | Backbone::Resnet101 | Backbone::WideResnet50 => of([256, 512, 1024, 2048]),
        Backbone::EfficientnetLite0 => of([24, 40, 112, 320]),
    }
}

/// Where a network runs and in which number format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub device: Device,
    pub kind: Kind,
    /// Through oneDNN's fused convolutions.
    fused: bool,
}

impl Target {
    /// With the fused convolutions where this libtorch and this processor have them, else libtorch's plain ones.
    pub(super) fn new(device: Device, kind: Kind) -> Self {
        Target { device, kind, fused: fused::works(device, kind) }
    }

    /// The tensor on this device in this format.
    pub(super) fn place(self, tensor: &Tensor) -> Result<Tensor, TchError> {
        // float64 goes to float32 first, so that bfloat16 weights are the rounded float32 ones as in torch.
        tensor.f_to_kind(Kind::Float)?.f_to_kind(self.kind)?.f_to_device(self.device)
    }
}

/// A part of a network: one map in, one map out.
trait Block: Send {
    /// `spent`: nobody reads `input` after this, so that the result may be written over it; else it is left as it is.
    fn forward(&self, input: &Tensor, spent: bool) -> Result<Tensor, TchError>;
}

/// `input` as the map that a block's result is added to and written over: itself where it is spent, else a copy.
fn shortcut(input: &Tensor, spent: bool) -> Result<Tensor, TchError> {
    if spent {
        return Ok(input.shallow_clone());
    }
    let mut copy = input.f_empty_like()?;
    copy.f_copy_(input)?;
    Ok(copy)
}

/// A stem and four stages, the last map of each of which is a layer.
pub(super) struct Network {
    stem: Box<dyn Block>,
    stages: [Vec<Box<dyn Block>>; 4],
}

impl Network {
    /// Takes the tensors of `backbone` from `dict`.
    ///
    /// # Errors
    /// [`EngineError::WeightsMismatch`] with the first names when the state dict is not exactly this network's.
    pub(super) fn load(backbone: Backbone, mut dict: StateDict, target: Target) -> Result<Self, EngineError> {
        let network = match backbone {
            Backbone::Resnet18 => resnet::load(&resnet::RESNET18, &mut dict, target)?,
            Backbone::Resnet34 => resnet::load(&resnet::RESNET34, &mut dict, target)?,
            Backbone::Resnet50 => resnet::load(&resnet::RESNET50, &mut dict, target)?,
            Backbone::Resnet101 => resnet::load(&resnet::RESNET101, &mut dict, target)?,
            Backbone::WideResnet50 => resnet::load(&resnet::WIDE_RESNET50_2, &mut dict, target)?,
            Backbone::EfficientnetLite0 => efficientnet_lite::load(&mut dict, target)?,
        };
        dict.finish()?;
        Ok(network)
    }

    /// Runs `[1, 3, H, W]` up to the deepest of `layers`; gives their maps `[1, C, h, w]` in the order of `layers`.
    pub(super) fn features(&self, input: &Tensor, layers: &[Layer]) -> Result<Vec<Tensor>, TchError> {
        let depth = layers.iter().map(|layer| *layer as usize + 1).max().unwrap_or(0);
        let mut x = self.stem.forward(input, false)?;
        let mut maps = Vec::with_capacity(depth);
        for stage in &self.stages[..depth] {
            for (i, block) in stage.iter().enumerate() {
                // What enters a stage's first block is a layer's map, which is handed out.
                x = block.forward(&x, i > 0)?;
            }
            maps.push(x.shallow_clone());
        }
        Ok(layers.iter().map(|layer| maps[*layer as usize].shallow_clone()).collect())
    }
}
