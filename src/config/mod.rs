//! The configuration as the rest of the program sees it: checked, defaults filled in, durations and patterns parsed.
//!
//! From the bottom up: `shaped` (a text, read with [`crate::yaml`], in the shape of a section) → `values`, `collector` →
//! `sections` (one file per section of the YAML) → `packaged`, `document` (the whole file) → `load`, `schema`, `diff`. A file uses only those below it.

mod collector;
mod defaults;
mod diff;
mod document;
mod error;
mod example;
mod key_path;
mod load;
mod packaged;
mod paths;
mod schema;
mod sections;
mod shaped;
mod size;
mod values;

pub use crate::yaml::problems::{ConfigProblem, ConfigProblems, Position};
pub use diff::{Change, describe};
pub use document::Config;
pub use error::ConfigError;
pub use schema::schema;
pub use sections::drop::{DropConfig, NamePattern};
pub use sections::engine::EngineConfig;
pub use sections::health::HealthConfig;
pub use sections::input::InputConfig;
pub use sections::intake::IntakeConfig;
pub use sections::mask::MaskConfig;
pub use sections::metrics::MetricsAddress;
pub use sections::mqtt::MqttConfig;
pub use sections::on_ng::{LONGEST_COMMAND, OnNgConfig};
pub use sections::outputs::OutputsConfig;
pub use sections::product::ProductConfig;
pub use sections::profiles::Profiles;
pub use sections::rebuild::RebuildConfig;
pub use sections::retention::RetentionConfig;
