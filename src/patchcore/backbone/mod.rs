//! The networks that make the features: weights in, feature maps out.

mod colours;
mod conv;
mod dinov2;
mod efficientnet_lite;
mod fused;
mod int8;
mod kernel;
mod map;
mod network;
mod ranges;
mod resnet;
mod scale;
mod shape;
mod shim;
mod stages;
mod target;

use super::error::EngineError;
use super::weights::StateDict;
use crate::domain::{Backbone, Layer};

pub(super) use colours::{MEAN, STD};
pub(super) use int8::check as check_int8;
pub(super) use network::Network;
pub use ranges::ActivationRanges;
pub(super) use ranges::RangeMeter;
pub(super) use target::{Target, Way};

/// Channels of the map that `layer` of `backbone` gives; `None` when it has no such layer.
pub fn channels(backbone: Backbone, layer: Layer) -> Option<i64> {
    let stages = |channels: [i64; 4]| channels.get(layer.depth()).copied();
    backbone.layers().contains(&layer).then_some(())?;
    match backbone {
        Backbone::Resnet18 | Backbone::Resnet34 => stages([64, 128, 256, 512]),
        Backbone::Resnet50 | Backbone::Resnet101 | Backbone::WideResnet50 => stages([256, 512, 1024, 2048]),
        Backbone::EfficientnetLite0 | Backbone::EfficientnetLite1 => stages([24, 40, 112, 320]),
        Backbone::EfficientnetLite2 => stages([24, 48, 120, 352]),
        Backbone::Dinov2Vits14 => Some(dinov2::VITS14.channels),
        Backbone::Dinov2Vitb14 => Some(dinov2::VITB14.channels),
    }
}

/// Makes the network `backbone` of the tensors in `dict`.
///
/// # Errors
/// [`EngineError::WeightsMismatch`] with the first names when the state dict is not exactly this network's.
pub(super) fn load(backbone: Backbone, mut dict: StateDict, target: &Target) -> Result<Box<dyn Network>, EngineError> {
    use efficientnet_lite::{LITE0, LITE1, LITE2};
    use resnet::{RESNET18, RESNET34, RESNET50, RESNET101, WIDE_RESNET50_2};
    let network: Box<dyn Network> = match backbone {
        Backbone::Resnet18 => Box::new(resnet::load(&RESNET18, &mut dict, target)?),
        Backbone::Resnet34 => Box::new(resnet::load(&RESNET34, &mut dict, target)?),
        Backbone::Resnet50 => Box::new(resnet::load(&RESNET50, &mut dict, target)?),
        Backbone::Resnet101 => Box::new(resnet::load(&RESNET101, &mut dict, target)?),
        Backbone::WideResnet50 => Box::new(resnet::load(&WIDE_RESNET50_2, &mut dict, target)?),
        Backbone::EfficientnetLite0 => Box::new(efficientnet_lite::load(&LITE0, &mut dict, target)?),
        Backbone::EfficientnetLite1 => Box::new(efficientnet_lite::load(&LITE1, &mut dict, target)?),
        Backbone::EfficientnetLite2 => Box::new(efficientnet_lite::load(&LITE2, &mut dict, target)?),
        Backbone::Dinov2Vits14 => Box::new(dinov2::load(&dinov2::VITS14, &mut dict, target)?),
        Backbone::Dinov2Vitb14 => Box::new(dinov2::load(&dinov2::VITB14, &mut dict, target)?),
    };
    dict.finish()?;
    Ok(network)
}
