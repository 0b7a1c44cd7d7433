//! `patchcored check`: everything that would hinder the line, all at once.

use super::exit::Exit;
use super::output::say;
use crate::config::{Config, MetricsAddress, schema};
use crate::domain::printable::{printable, printable_lines};
use crate::history::{BankInUse, HistoryError, HistoryErrorKind, HistoryStore, Scope};
use crate::monitoring::address_problem;
use crate::patchcore::{find_weights, resolve_precision};
use crate::preflight::{CheckFinding, FindingLevel, acting, as_service, machine, rights};
use anyhow::Context;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Arguments of `check`.
#[derive(clap::Args)]
pub struct CheckArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml")]
    config: PathBuf,
    /// Check as the service would run it: its user, its groups, its sandbox with all drop-ins; needs root and systemd
    #[arg(long)]
    as_service: bool,
    /// Print the JSON Schema of the configuration instead, for editors; no configuration is needed
    #[arg(long, conflicts_with_all = ["config", "as_service"])]
    schema: bool,
}

/// Prints every finding. Exit code 0 without errors (warnings do not count), 1 when this machine lacks something, 78 when the
/// configuration itself is bad.
///
/// # Errors
/// A configuration that cannot be used.
pub fn run(args: &CheckArgs) -> anyhow::Result<Exit> {
    if args.schema {
        say(&schema())?;
        return Ok(Exit::SUCCESS);
    }
    if args.as_service {
        return check_as_service(&args.config);
    }
    let config = Config::load(&args.config)?;
    let mut findings = machine::problems(&config);
    findings.extend(acting::problems(&config));
    findings.extend(rights::problems(&args.config, &config));
    check_weights(&config, &mut findings);
    if let Some(message) = config.packaged_text() {
        findings.push(CheckFinding { level: FindingLevel::Warning, key: "products".to_owned(), message });
    }
    let banks = check_history(&config.database, &mut findings)?;
    check_metrics(&config, &mut findings);
    findings.sort_by_key(|finding| finding.level);

    let errors = findings.iter().filter(|finding| finding.level == FindingLevel::Error).count();
    let mut text = String::new();
    for finding in &findings {
        let level = if finding.level == FindingLevel::Error { "error" } else { "warning" };
        text += &format!("{level}: {}: {}\n", printable(&finding.key), printable_lines(&finding.message));
    }
    for bank in &banks {
        if let Some(promise) = bank.promise() {
            text += &format!("product `{}`: {promise}\n", bank.product);
        }
    }
    let precision = resolve_precision(config.engine.device, config.engine.precision);
    let counted = |count: usize, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
    let (products, warnings) = (counted(config.products.len(), "product"), counted(findings.len() - errors, "warning"));
    text += &match errors {
        0 => format!("{}: OK, ready to start: {products}, {warnings}; banks are built in {precision}\n", args.config.display()),
        _ => format!("{}: NOT ready to start: {}, {warnings} in {products}\n", args.config.display(), counted(errors, "error")),
    };
    if errors > 0 && is_another_users(&config.database) {
        text += "This looked with the rights of the user that you are, but the history belongs to another one. For the rights of the service: sudo -u patchcored patchcored check\n";
    }
    say(&text)?;
    Ok(if errors == 0 { Exit::SUCCESS } else { Exit::FAILURE })
}

/// Whether somebody else than the caller, and than root, owns the history or the folder that it will be in.
fn is_another_users(database: &Path) -> bool {
    let owner = [Some(database), database.parent()].into_iter().flatten().find_map(|path| fs::metadata(path).ok());
    let caller = rustix::process::geteuid();
    !caller.is_root() && owner.is_some_and(|meta| meta.uid() != caller.as_raw())
}

/// The same check by another process. Its exit code is the answer.
fn check_as_service(config: &Path) -> anyhow::Result<Exit> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let config = std::path::absolute(config).with_context(|| format!("{}: cannot tell where this is", config.display()))?;
    let status = as_service::run(&[program.into(), "check".into(), "--config".into(), config.into()])?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(Exit::FAILURE, Exit))
}

fn check_weights(config: &Config, findings: &mut Vec<CheckFinding>) {
    for (i, product) in config.products.iter().enumerate() {
        let backbone = product.build.backbone;
        if config.products[..i].iter().any(|earlier| earlier.build.backbone == backbone) {
            continue;
        }
        if let Err(error) = find_weights(backbone, config.engine.weights.get(&backbone).map(PathBuf::as_path)) {
            findings.push(CheckFinding {
                level: FindingLevel::Error,
                key: format!("engine.weights.{backbone}"),
                message: error.to_string(),
            });
        }
    }
}

/// The line runs without its metrics, but nobody would see it stop.
fn check_metrics(config: &Config, findings: &mut Vec<CheckFinding>) {
    let Some(address) = &config.metrics else { return };
    let key = match address {
        MetricsAddress::Listen(_) => "metrics.listen",
        MetricsAddress::Socket(_) => "metrics.socket",
    };
    if let Some(message) = address_problem(address) {
        findings.push(CheckFinding { level: FindingLevel::Warning, key: key.to_owned(), message });
    }
}

/// Opens an existing history for reading; a missing one will be created. The banks in use, if it can be read.
fn check_history(database: &Path, findings: &mut Vec<CheckFinding>) -> anyhow::Result<Vec<BankInUse>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let read = async {
        let store = HistoryStore::open_read_only(database).await?;
        let record = store.records().take(Scope::Brief).await;
        let _ = store.close().await;
        Ok::<_, HistoryError>(record?.banks)
    };
    match runtime.block_on(read) {
        Ok(banks) => return Ok(banks),
        Err(error) if matches!(error.kind, HistoryErrorKind::Missing | HistoryErrorKind::OlderSchema) => {}
        Err(error) => {
            findings.push(CheckFinding { level: FindingLevel::Error, key: "database".to_owned(), message: error.to_string() });
        }
    }
    Ok(Vec::new())
}
