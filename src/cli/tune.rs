//! `patchcored tune`: which build settings are best for a product.

use super::Coded;
use super::exit::Exit;
use super::output::{complain, say};
use crate::config::Config;
use crate::domain::duration::parse_duration;
use crate::tune::{TuneLimits, tune};
use indicatif::ProgressBar;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `tune`.
#[derive(clap::Args)]
pub struct TuneArgs {
    /// The product, as the configuration names it
    #[arg(value_name = "PRODUCT")]
    product: String,
    /// The configuration file; it is not changed
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml")]
    config: PathBuf,
    /// The most time that one image may take, e.g. 100ms, 1s [default: any]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    budget: Option<Duration>,
    /// The time for the comparison; settings that would take longer are not begun
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Compares, and prints the table and the recommended `build:` section. It changes nothing.
///
/// # Errors
/// A configuration that cannot be used, a product that is not in it, too few OK images, or missing weights.
pub fn run(args: &TuneArgs) -> anyhow::Result<Exit> {
    let config = Config::load(&args.config)?;
    let Some(product) = config.products.iter().find(|product| product.name == args.product) else {
        return Err(Coded::unknown_product(&args.config, &config, &args.product).into());
    };
    let limits = TuneLimits { budget: args.budget, time: Duration::from_secs(u64::from(args.minutes) * 60) };
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    let report = tune(&config, product, limits, &mut |settings| bar.set_message(settings.to_owned()))?;
    bar.finish_and_clear();
    for image in &report.unusable {
        complain(&format!("warning: {image}"));
    }
    say(&if args.json { format!("{}\n", serde_json::to_string(&report)?) } else { report.text() })?;
    Ok(Exit::SUCCESS)
}
