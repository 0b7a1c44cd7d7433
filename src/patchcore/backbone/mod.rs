//! The networks that make the features: weights in, feature maps out.

mod conv;
mod efficientnet_lite;
mod fused;
mod kernel;
mod resnet;
mod shim;

use super::error::EngineError;
use super::weights::StateDict;
use crate::domain::{Backbone, Layer};
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
    pub fused: bool,
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
    /// A block whose shortcut is its input writes the result over it. No block that follows a layer's last map is one of those
    /// (it changes the map's size or channels), so that maps that are handed out stay as they are.
    fn forward(&self, input: Tensor) -> Result<Tensor, TchError>;
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
        let mut x = self.stem.forward(input.shallow_clone())?;
        let mut maps = [const { None }; 4];
        for (i, stage) in self.stages[..depth].iter().enumerate() {
            for block in stage {
                x = block.forward(x)?;
            }
            maps[i] = layers.iter().any(|layer| *layer as usize == i).then(|| x.shallow_clone());
        }
        Ok(layers.iter().filter_map(|layer| Some(maps[*layer as usize].as_ref()?.shallow_clone())).collect())
    }
}
