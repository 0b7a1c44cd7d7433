//! What every network does.

use crate::domain::Layer;
use tch::{TchError, Tensor};

/// A network with its weights: an image in, feature maps out.
pub(in crate::patchcore) trait Network: Send {
    /// Runs `[1, 3, H, W]`, normalised (pixels of 0 to 255 for int8), up to the deepest of `layers`, which are all layers of this network; gives their maps `[1, C, h, w]` in the
    /// order of `layers`. Nothing writes to a map that was handed out.
    fn features(&self, input: &Tensor, layers: &[Layer]) -> Result<Vec<Tensor>, TchError>;
}

/// The index of the deepest of `layers`, counted from 1; 0 when there is none.
pub(super) fn depth(layers: &[Layer]) -> usize {
    layers.iter().map(|layer| layer.depth() + 1).max().unwrap_or(0)
}
