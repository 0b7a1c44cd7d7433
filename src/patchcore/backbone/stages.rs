//! The convolutional networks: a stem and four stages.

use super::int8::pixels;
use super::map::Map;
use super::network::{Network, depth};
use super::target::{Target, Way};
use crate::domain::Layer;
use tch::{TchError, Tensor};

/// A part of a network: one map in, one map out.
pub(super) trait Block: Send {
    /// A block whose shortcut is its input writes the result over it. No block that follows a layer's last map is one of those
    /// (it changes the map's size or channels), so that maps that are handed out stay as they are.
    fn forward(&self, input: Map) -> Result<Map, TchError>;
}

/// A stem and four stages, the last map of each of which is a layer.
pub(super) struct Stages {
    stem: Box<dyn Block>,
    stages: [Vec<Box<dyn Block>>; 4],
    takes_pixels: bool,
}

impl Stages {
    pub(super) fn new(stem: Box<dyn Block>, stages: [Vec<Box<dyn Block>>; 4], target: &Target) -> Self {
        Stages { stem, stages, takes_pixels: matches!(target.way, Way::Int8(_)) }
    }
}

impl Network for Stages {
    fn features(&self, input: &Tensor, layers: &[Layer]) -> Result<Vec<Tensor>, TchError> {
        let image = if self.takes_pixels { pixels(input)? } else { Map::of_floats(input.shallow_clone()) };
        let mut x = self.stem.forward(image)?;
        let mut maps = Vec::new();
        for stage in self.stages.iter().take(depth(layers)) {
            for block in stage {
                x = block.forward(x)?;
            }
            maps.push(x.shallow_clone());
        }
        layers.iter().filter_map(|layer| maps.get(layer.depth()).map(Map::floats)).collect()
    }
}
