//! The default way of scoring: patches are compared at two levels, and several readings of the distances make the score.
//!
//! 1. One pass of the network gives the feature maps. [`axes`] turns them into patches of at most 128 values at two levels: as they are
//!    (fine), and averaged over 3×3 places (coarse).
//! 2. [`bank`] finds the distance of every patch to the nearest bank row of its level.
//! 3. [`statistics`] puts both into the units of the good images of this bank, joins them to one map and reads that map four times.
//! 4. What a unit is, [`calibration`] measures on held-out OK images while [`mod@build`] makes the bank.

mod axes;
mod bank;
mod build;
mod calibration;
mod groups;
mod robust;
mod statistics;

pub(super) use bank::LevelBank;
pub(super) use build::build;
pub use statistics::ScoreStatistics;

/// Feature maps are averaged over so many places each way before they are joined: fine, coarse.
const NEIGHBOURHOODS: [i64; 2] = [1, 3];
/// The number of levels.
const LEVELS: usize = NEIGHBOURHOODS.len();
