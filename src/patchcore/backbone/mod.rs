//! The networks that make the features: weights in, feature maps out.

mod conv;
mod efficientnet_lite;
mod fused;
mod kernel;
mod network;
mod resnet;
mod shape;
mod shim;
mod target;

use super::error::EngineError;
use super::weights::StateDict;
use crate::domain::{Backbone, Layer};

pub(super) use network::Network;
pub(super) use target::Target;

/// Channels of the map that `layer` of `backbone` gives.
pub fn channels(backbone: Backbone, layer: Layer) -> i64 {
    let of = |channels: [i64; 4]| channels[layer as usize];
    match backbone {
        Backbone::Resnet18 | Backbone::Resnet34 => of([64, 128, 256, 512]),
        Backbone::Resnet50 | Backbone::Resnet101 | Backbone::WideResnet50 => of([256, 512, 1024, 2048]),
        Backbone::EfficientnetLite0 => of([24, 40, 112, 320]),
    }
}

/// Makes the network `backbone` of the tensors in `dict`.
///
/// # Errors
/// [`EngineError::WeightsMismatch`] with the first names when the state dict is not exactly this network's.
pub(super) fn load(backbone: Backbone, mut dict: StateDict, target: Target) -> Result<Network, EngineError> {
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
