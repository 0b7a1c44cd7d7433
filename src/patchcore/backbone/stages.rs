//! The convolutional networks: a stem and four stages.

use super::network::{Network, depth};
use crate::domain::Layer;
use tch::{TchError, Tensor};

/// A part of a network: one map in, one map out.
pub(super) trait Block: Send {
    /// A block whose shortcut is its input writes the result over it. No block that follows a layer's last map is one of those
    /// (it changes the map's size or channels), so that maps that are handed out stay as they are.
    fn forward(&self, input: Tensor) -> Result<Tensor, TchError>;
}

/// A stem and four stages, the last map of each of which is a layer.
pub(super) struct Stages {
    pub stem: Box<dyn Block>,
    pub stages: [Vec<Box<dyn Block>>; 4],
}

impl Network for Stages {
    fn features(&self, input: &Tensor, layers: &[Layer]) -> Result<Vec<Tensor>, TchError> {
        let mut x = self.stem.forward(input.shallow_clone())?;
        let mut maps = Vec::new();
        for stage in self.stages.iter().take(depth(layers)) {
            for block in stage {
                x = block.forward(x)?;
            }
            maps.push(x.shallow_clone());
        }
        Ok(layers.iter().filter_map(|layer| maps.get(layer.depth()).map(Tensor::shallow_clone)).collect())
    }
}
