//! Synthetic defects: pure functions that plant one defect into a picture.
//!
//! A defect is a field over the picture. It is added to the samples, so the grain and the noise of the part stay, and there is no pasted
//! piece with an edge of its own. Only a missing area and a smear also change the structure below them, as the real ones do.

mod fields;
mod noise;
mod plant;
mod planted;
mod samples;

pub use plant::plant;
pub use planted::{Footprint, PlantedDefect};
pub use samples::{gray_at, grey_range};
