//! What every network is made of, and how an image runs through it.

use crate::domain::Layer;
use tch::{TchError, Tensor};

/// A part of a network: one map in, one map out.
pub(super) trait Block: Send {
    /// A block whose shortcut is its input writes the result over it. No block that follows a layer's last map is one of those
    /// (it changes the map's size or channels), so that maps that are handed out stay as they are.
    fn forward(&self, input: Tensor) -> Result<Tensor, TchError>;
}

/// A stem and four stages, the last map of each of which is a layer.
pub(in crate::patchcore) struct Network {
    pub(super) stem: Box<dyn Block>,
    pub(super) stages: [Vec<Box<dyn Block>>; 4],
}

impl Network {
    /// Runs `[1, 3, H, W]` up to the deepest of `layers`; gives their maps `[1, C, h, w]` in the order of `layers`.
    pub(in crate::patchcore) fn features(&self, input: &Tensor, layers: &[Layer]) -> Result<Vec<Tensor>, TchError> {
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
