//! The PatchCore engine. The only place that names tch; no tensor in a public signature.

mod backbone;
mod bank_config;
mod bank_json;
mod build_report;
mod builder;
mod calibration;
mod coreset;
mod device;
mod distance_grid;
mod embedding;
mod error;
mod false_alarms;
mod feature_extractor;
mod levels;
mod memory_bank;
mod nearest;
mod ok_images;
mod principal_axes;
mod reservoir;
mod scorer;
mod torch_file;
mod weights;

#[doc(hidden)]
pub mod bench;
#[doc(hidden)]
pub mod fuzz;

pub use backbone::{ActivationRanges, channels};
pub use bank_config::BankConfig;
pub use bank_json::TauFile;
pub use build_report::{BuildPhase, BuildProgress, BuildSummary};
pub use builder::{BuiltBank, build_bank};
pub use device::{resolve_precision, set_threads};
pub use error::EngineError;
pub use feature_extractor::FeatureExtractor;
pub use memory_bank::{BankFacts, BankRecord, MemoryBank};
pub use ok_images::{ImageSource, UnusableImage};
pub use scorer::score;
pub use weights::{file_sha256, find_weights};
