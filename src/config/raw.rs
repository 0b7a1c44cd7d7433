//! The serde shapes of the YAML file, one struct per section. Every key is optional here and unknown keys are refused; what is
//! required, and which values make sense, is decided in `check`.
//!
//! The doc comment of a field is its description in the JSON Schema and in `docs/config-reference.md`: it says what the key means and
//! its unit. Default and allowed values stand beside it there: the default is what config.yaml.example shows, ranges are the constants
//! that `check` goes by.

mod acting;
mod product;
mod retention;
mod values;

pub(super) use acting::{RawMqtt, RawOnNg};
pub(super) use product::{RawBuild, RawDrop, RawHealth, RawInput, RawMask, RawOutputs, RawProduct, RawRebuild};
pub(super) use retention::RawRetention;
pub(super) use values::{RawReady, RawReadyKeys, Span, Word};

use super::duration::show;
use super::{engine, product as limits};
use crate::inspection::{Backbone, DeviceChoice, PrecisionChoice};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The configuration of patchcored. Durations are a whole number and a unit: 500ms, 30s, 10m, 24h. Relative paths start at the folder
/// of the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(super) struct RawConfig {
    /// The SQLite file with every inspection. Its folder must be on a local disk (SQLite cannot lock over NFS or Samba) and writable for
    /// the service.
    #[schemars(required)]
    pub database: Option<PathBuf>,
    /// The network, and the banks in memory.
    pub engine: Option<RawEngine>,
    /// How images are taken in.
    pub intake: Option<RawIntake>,
    /// Where a monitoring system asks for metrics (`/metrics`, for Prometheus) and for the state of the line (`/healthz`). Off unless one of
    /// the two keys is set; a reload is enough to change it.
    pub metrics: Option<RawMetrics>,
    /// Decisions as messages for an MQTT broker.
    pub mqtt: Option<RawMqtt>,
    /// Values for all products, with any key of a product but `name`, `drop`, `ok` and `bank`. What a product sets itself wins, key by
    /// key, also within sections.
    #[schemars(transform = super::schema::without_own_keys)]
    pub defaults: Option<RawProduct>,
    /// One entry per product and view that gets a bank of its own; at least one.
    #[schemars(required, length(min = 1))]
    pub products: Option<Vec<RawProduct>>,
    /// Which products are made together: the name of each profile, and its products. One profile is in use at a time, and
    /// `patchcored profile NAME` changes over to another; a product in no profile is always inspected. Products that are never made
    /// together may take the same files.
    #[schemars(extend("propertyNames" = {"pattern": limits::NAME}))]
    pub profiles: Option<BTreeMap<String, Vec<String>>>,
    /// The profile that is in use at the first start; from then on the last change-over counts. Required beside `profiles`.
    pub profile: Option<String>,
}

/// `engine:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(super) struct RawEngine {
    /// Where the network runs: `auto`, `cpu` or `cuda:N`. `auto` takes the first CUDA device if there is one, else the processor.
    pub device: Option<Word<DeviceChoice>>,
    /// Number format of the network. `auto` takes bfloat16 only where the hardware is fast at it. A bank is always scored in the format
    /// it was built in, so a change counts from the next rebuild on.
    pub precision: Option<Word<PrecisionChoice>>,
    /// Processor threads for the network; 0 = all cores. Set it lower when other software on this machine needs its share.
    #[schemars(range(min = engine::THREADS.0, max = engine::THREADS.1))]
    pub threads: Option<u32>,
    /// Banks held in memory. The one used longest ago makes room for another. One ResNet50 bank of 2,000 rows takes about 60 MB; when
    /// all your products fit, set it to their number.
    #[schemars(range(min = engine::BANK_CACHE.0, max = engine::BANK_CACHE.1))]
    pub bank_cache: Option<u32>,
    /// Weights file (PyTorch state dict, .pth or .safetensors) per backbone. A backbone that is not listed is searched for by its
    /// published file name in `$PATCHCORED_WEIGHTS`, `~/.cache/patchcored/weights` and `/var/lib/patchcored/weights`.
    pub weights: Option<BTreeMap<Word<Backbone>, PathBuf>>,
}

/// `intake:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(super) struct RawIntake {
    /// Time between two full scans of the drop folders. The kernel's notices only make things faster; this scan finds what they missed,
    /// and it is the only way on network mounts, which send no notices.
    #[schemars(transform = within(engine::RESCAN))]
    pub rescan: Option<Span>,
    /// How long a file may stay incomplete after its last change. After that the image is recorded as failed, with the reason. Longer
    /// than the longest pause of your camera or network while it writes one file.
    #[schemars(transform = within(engine::GIVE_UP_AFTER))]
    pub give_up_after: Option<Span>,
    /// Largest image that is decoded, in million pixels. Protects the memory from damaged or hostile files: reading an image may take 12 bytes for each pixel of this number.
    #[schemars(range(min = engine::MEGAPIXELS.0, max = engine::MEGAPIXELS.1))]
    pub max_megapixels: Option<u32>,
}

/// `metrics:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(super) struct RawMetrics {
    /// Address and port on this machine, as `127.0.0.1:9464`. Only loopback addresses are taken, since there is no password; a reverse proxy
    /// makes it available to others.
    pub listen: Option<String>,
    /// Path of a Unix socket in its stead, as `/run/patchcored/metrics.sock`. Its folder must exist and be writable for the service.
    pub socket: Option<PathBuf>,
}

/// Says the bounds of a duration, which JSON Schema has no word for, in its description.
fn within((low, high): (Duration, Duration)) -> impl FnMut(&mut Schema) {
    move |schema| {
        let description = schema.get("description").and_then(|text| text.as_str()).unwrap_or_default();
        let whole = format!("{description} {} to {}.", show(low), show(high));
        schema.insert("description".to_owned(), whole.into());
    }
}
