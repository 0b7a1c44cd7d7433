//! The whole file: its shape, and the checked configuration.

use super::collector::{Problems, Scope};
use super::packaged::{PACKAGED, name_packaged};
use super::sections::calendar::TimeOfDay;
use super::sections::engine::{EngineConfig, RawEngine};
use super::sections::intake::{IntakeConfig, RawIntake};
use super::sections::metrics::{MetricsAddress, RawMetrics};
use super::sections::mqtt::{MqttConfig, RawMqtt};
use super::sections::product::{ProductConfig, RawProduct};
use super::sections::profiles::Profiles;
use super::sections::{calendar, engine, intake, metrics, mqtt, places, product, profiles};
use super::values::FilePath;
use crate::domain::LocalTime;
use crate::yaml::problems::ConfigProblem;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

/// A checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `database:` the SQLite history.
    pub database: PathBuf,
    /// `engine:`
    pub engine: EngineConfig,
    /// `intake:`
    pub intake: IntakeConfig,
    /// `metrics:` the address for monitoring; `None` = no address.
    pub metrics: Option<MetricsAddress>,
    /// `mqtt:`; `None` = nothing is published.
    pub mqtt: Option<MqttConfig>,
    /// `products:` in file order; never empty.
    pub products: Vec<ProductConfig>,
    /// `profiles:`
    pub profiles: Profiles,
    /// The profile in use, one of `profiles`; `None` only without profiles. After loading, it is the one for the first start.
    pub profile: Option<String>,
    /// `time_zone:` and `shifts:`
    pub local: LocalTime,
    /// The products that name no backbone and get the packaged one, because no weights of `resnet50` are found on this machine.
    pub packaged: Vec<String>,
    /// The file with `defaults` merged into each product, for comparisons.
    document: serde_json::Value,
}

/// The configuration of patchcored. Durations are a whole number and a unit: 500ms, 30s, 10m, 24h. Relative paths start at the folder
/// of the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    /// The SQLite file with every inspection. Its folder must be on a local disk (no NFS or Samba: SQLite cannot lock there) and writable.
    #[schemars(required)]
    pub database: Option<FilePath>,
    /// The network, and the banks in memory.
    pub engine: Option<RawEngine>,
    /// How the daemon finds and reads images.
    pub intake: Option<RawIntake>,
    /// Where a monitoring system asks for metrics (`/metrics`, for Prometheus) and for the state of the line (`/healthz`). Off unless you
    /// set one of the two keys. A reload is enough to change it.
    pub metrics: Option<RawMetrics>,
    /// Decisions as messages for an MQTT broker.
    pub mqtt: Option<RawMqtt>,
    /// Values for all products, with any key of a product except `name`, `drop`, `ok` and `bank`. A value that a product sets itself wins,
    /// key by key, also within sections.
    #[schemars(transform = product::without_own_keys)]
    pub defaults: Option<RawProduct>,
    /// One entry per product and view that gets a bank of its own; at least one.
    #[schemars(required, length(min = 1))]
    pub products: Option<Vec<RawProduct>>,
    /// Which products are made together: the name of each profile, and its products. One profile is in use at a time, and
    /// `patchcored profile NAME` changes over to another; a product in no profile is always inspected. Products that are never made
    /// together may take the same files.
    #[schemars(extend("propertyNames" = {"pattern": product::NAME}))]
    pub profiles: Option<Profiles>,
    /// The profile in use at the first start. From then on the last change-over counts. Required beside `profiles`.
    pub profile: Option<String>,
    /// The time zone of the plant, as Asia/Seoul: commands show and take times in it, and the views `local_daily_yield` and
    /// `yield_by_shift` count by it. `null` = that of the machine. The history itself has UTC.
    pub time_zone: Option<String>,
    /// When each shift begins, by its name: `{ early: "06:00", late: "14:00", night: "22:00" }`. A shift lasts until the next one begins.
    pub shifts: Option<BTreeMap<String, TimeOfDay>>,
}

impl Config {
    /// The keys and values of the file, with what `defaults` sets in each product.
    pub fn document(&self) -> &serde_json::Value {
        &self.document
    }

    /// Which products go without a named backbone, and what to do, in words; `None` when there are none.
    pub fn packaged_text(&self) -> Option<String> {
        let products = self.packaged.join(", ");
        (!products.is_empty()).then(|| {
            format!(
                "no backbone is named for {products}, and no weights of resnet50 are found: {PACKAGED} is used, whose weights are in the package. \
                 Write `build: {{ backbone: {PACKAGED} }}`, so that it stays when other weights are put there"
            )
        })
    }

    /// The product of this name.
    pub fn product(&self, name: &str) -> Option<&ProductConfig> {
        self.products.iter().find(|product| product.name == name)
    }

    /// True when the daemon takes new images for this product: it belongs to the profile in use, or to none.
    pub fn is_on(&self, product: &str) -> bool {
        profiles::is_on(&self.profiles, self.profile.as_ref(), product)
    }

    /// Says for two products (by index) whether some profile, or a line without profiles, has both on.
    pub fn on_together(&self) -> impl Fn(usize, usize) -> bool {
        profiles::on_together(&self.profiles, &self.products)
    }

    /// The problems of how the folders contain each other, by their names; empty for a configuration as loaded. Meant for
    /// one whose paths are those behind symbolic links.
    pub fn place_problems(&self) -> Vec<ConfigProblem> {
        let mut problems = Problems::new(Vec::new(), None);
        places::check(&self.products, &mut problems);
        problems.into_found()
    }
}

/// Checks all sections. `inherited` has for each product the keys that came from `defaults`; `document` is the file as read. With
/// `of_machine`, the weights on this machine decide about products that name no backbone.
pub(super) fn check(
    raw: RawConfig,
    inherited: &[BTreeSet<String>],
    document: serde_json::Value,
    of_machine: bool,
    problems: &mut Problems,
) -> Config {
    let RawConfig { database, engine, intake, metrics, mqtt, defaults, products, profiles, profile, time_zone, shifts } = raw;
    let database = problems.required_path("database", database, "/var/lib/patchcored/history.db");
    let engine = engine::check(engine.unwrap_or_default(), problems);
    let intake = intake::check(intake.unwrap_or_default(), problems);
    let metrics = metrics::check(metrics.unwrap_or_default(), problems);
    let mqtt = mqtt::check(mqtt.unwrap_or_default(), problems);
    if let Some(defaults) = defaults {
        product::refuse_in_defaults(&defaults, problems);
    }
    let mut products = products.unwrap_or_default();
    let packaged = if of_machine { name_packaged(&mut products, &engine.weights) } else { Vec::new() };
    problems.need(!products.is_empty(), "products", "is required; list at least one product with `name`, `drop`, `ok` and `bank`");
    let products: Vec<_> = products
        .into_iter()
        .zip(inherited)
        .enumerate()
        .map(|(i, (raw, inherited))| product::check(raw, &Scope::new(i, inherited), &intake, problems))
        .collect();
    let mut names = HashMap::new();
    for (i, product) in products.iter().enumerate().filter(|(_, product)| !product.name.is_empty()) {
        let first = *names.entry(product.name.as_str()).or_insert(i);
        let message = format!("`{}` is also the name of products[{first}]; give each its own", product.name);
        problems.need(first == i, format!("products[{i}].name"), message);
    }
    engine::check_int8(&engine, &products, problems);
    places::check(&products, problems);
    let profiles = profiles.unwrap_or_default();
    profiles::check(&profiles, profile.as_deref(), &products, problems);
    let local = calendar::check(time_zone.as_deref(), shifts.unwrap_or_default(), problems);
    Config { database, engine, intake, metrics, mqtt, products, profiles, profile, local, packaged, document }
}
