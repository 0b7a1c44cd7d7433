//! What a search for the nearest rows gives.

use tch::Tensor;

/// The answer for N patches.
pub(in crate::patchcore) struct Nearest {
    /// `[N]` float32: Euclidean distances.
    pub distances: Tensor,
    /// `[N]` int64: the row that is so near.
    pub rows: Tensor,
}
