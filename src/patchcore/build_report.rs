//! What a build says while it runs and when it is done.

use crate::domain::{FalseAlarms, Tau};

/// What a build is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildPhase {
    /// Images through the network; counted in images.
    Embed,
    /// Choosing rows; counted in steps, of which k-means may need fewer than foretold.
    Coreset,
    /// Setting tau; counted in images.
    Calibrate,
}

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildProgress {
    /// What it is doing.
    pub phase: BuildPhase,
    /// Steps of the phase done.
    pub done: usize,
    /// Steps of the phase.
    pub total: usize,
}

impl BuildProgress {
    /// Roughly how much of the whole build is done, 0 to 1.
    pub fn share(&self) -> f64 {
        let (begin, end) = match self.phase {
            BuildPhase::Embed => (0.0, 0.5),
            BuildPhase::Coreset => (0.5, 0.8),
            BuildPhase::Calibrate => (0.8, 1.0),
        };
        begin + (end - begin) * self.done as f64 / self.total.max(1) as f64
    }
}

/// The facts of a build.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildSummary {
    /// OK images in the bank.
    pub images: usize,
    /// Their patches.
    pub patches: u64,
    /// Rows of the bank.
    pub rows: usize,
    /// Values per row.
    pub dim: usize,
    /// The thresholds.
    pub tau: Tau,
    /// What they promise; `None` with `in_sample`, which promises nothing.
    pub false_alarms: Option<FalseAlarms>,
    /// What the user should know about them.
    pub tau_warning: Option<String>,
    /// OK images that are unlike the others, by name.
    pub stands_out: Vec<String>,
    /// OK images that are near-copies of each other, by name.
    pub near_copies: Vec<Vec<String>>,
    /// Seconds spent on decoding and the network.
    pub embed_s: f64,
    /// Seconds spent on choosing rows.
    pub coreset_s: f64,
    /// Seconds spent on tau.
    pub calibrate_s: f64,
    /// Images left out: name and reason.
    pub skipped: Vec<(String, String)>,
}

/// What a way of building found, whatever the way.
pub(super) struct Report {
    /// OK images in the bank.
    pub images: usize,
    /// Their patches.
    pub patches: u64,
    /// OK images that are unlike the others, by name.
    pub stands_out: Vec<String>,
    /// OK images that are near-copies of each other, by name.
    pub near_copies: Vec<Vec<String>>,
    /// Seconds spent on decoding and the network.
    pub embed_s: f64,
    /// Seconds spent on choosing rows.
    pub coreset_s: f64,
    /// Seconds spent on tau.
    pub calibrate_s: f64,
    /// Images left out: name and reason.
    pub skipped: Vec<(String, String)>,
}
