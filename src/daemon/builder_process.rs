//! `patchcored build` as a child process: niced, ended with the daemon, its last words kept.

use super::kernel::{has_thread_in_system_call, ticks};
use super::progress::{Progress, Silence};
use crate::config::{EngineConfig, ProductConfig};
use anyhow::{Context, bail};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// The program that is running, even when an upgrade has put another in its place meanwhile, or is just doing so: daemon and build
/// are always of one version, and the arguments are those that it knows.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// What a finished build tells.
#[derive(Debug)]
pub struct Built {
    /// How long it took.
    pub seconds: f64,
    /// Images that could not be used, each with its reason.
    pub left_out: Vec<String>,
}

/// The build process was ended by a signal, most often for want of memory; the ok folder is not at fault.
#[derive(Debug, thiserror::Error)]
#[error("the build process was killed by signal {signal} (9: for want of memory, or by hand); it is tried again; its last words: {words}")]
pub struct Killed {
    signal: i32,
    words: String,
}

/// The build process could not be started, most often for want of memory or processes; the ok folder is not at fault.
#[derive(Debug, thiserror::Error)]
#[error("the build process could not be started: {0}")]
pub struct NotStarted(std::io::Error);

/// Builds the bank of `product` into `staging`. Dropping the future ends the child.
///
/// # Errors
/// When the child fails; the message carries what it last wrote to stderr. [`NotStarted`], and [`Killed`] when a signal ended it.
pub async fn run(engine: &EngineConfig, product: &ProductConfig, staging: &Path, progress: &Arc<Progress>) -> anyhow::Result<Built> {
    let begin = Instant::now();
    let child = Command::new(OWN_PROGRAM)
        .arg0("patchcored")
        .args(arguments(engine, product, staging))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(NotStarted)?;
    let steps = Mutex::new(Steps { ticks: 0, at: begin });
    let _watch = child.id().map(|process| progress.watch(format!("build of {}", product.name), move || silence(process, &steps)));
    let output = child.wait_with_output().await.context("the build process could not be waited for")?;
    if let Some(signal) = output.status.signal() {
        return Err(Killed { signal, words: last_words(&output.stderr) }.into());
    }
    if !output.status.success() {
        bail!("the build process ended with {}: {}", output.status, last_words(&output.stderr));
    }
    Ok(Built { seconds: begin.elapsed().as_secs_f64(), left_out: left_out(&output.stdout) })
}

/// The time that a process has computed, and when that was last seen to grow.
struct Steps {
    ticks: u64,
    at: Instant,
}

/// A build gets on as long as it computes, or the system keeps it with its files.
fn silence(process: u32, steps: &Mutex<Steps>) -> Silence {
    // Each change is whole by itself, whoever panicked.
    let mut steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
    match ticks(process) {
        Some(ticks) if ticks == steps.ticks => {
            if has_thread_in_system_call(process) {
                steps.at = Instant::now();
            }
        }
        Some(ticks) => *steps = Steps { ticks, at: Instant::now() },
        // It has ended, and whoever started it is about to notice.
        None => return Silence { silent_for: Duration::ZERO, long: true },
    }
    Silence { silent_for: steps.at.elapsed(), long: true }
}

/// From the JSON object that is the last line of the child's stdout.
fn left_out(stdout: &[u8]) -> Vec<String> {
    let last = stdout.trim_ascii_end().rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    let summary: serde_json::Value = serde_json::from_slice(last).unwrap_or_default();
    let entries = summary["left_out"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(|entry| entry.as_str()).map(str::to_owned).collect()
}

fn arguments(engine: &EngineConfig, product: &ProductConfig, staging: &Path) -> Vec<OsString> {
    let build = &product.build;
    let mut arguments: Vec<OsString> = vec!["build".into(), "--background".into(), std::process::id().to_string().into()];
    let mut add = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    add("--ok-dir", product.ok.clone().into());
    add("--out-dir", staging.into());
    add("--backbone", build.backbone.as_str().into());
    add("--device", engine.device.to_string().into());
    add("--precision", engine.precision.to_string().into());
    add("--threads", engine.threads.to_string().into());
    if let Some(weights) = engine.weights.get(&build.backbone) {
        add("--weights", weights.into());
    }
    if let Some(bit_depth) = product.input.bit_depth {
        add("--bit-depth", bit_depth.to_string().into());
    }
    add("--shorter", build.shorter.to_string().into());
    add("--stride", build.stride.to_string().into());
    add("--coreset", build.coreset.to_string().into());
    add("--coreset-method", build.coreset_method.as_str().into());
    add("--reservoir-max", build.reservoir_max.to_string().into());
    add("--pixel-pct", build.pixel_pct.to_string().into());
    add("--image-pct", build.image_pct.to_string().into());
    add("--calibration", build.calibration.as_str().into());
    add("--neighbourhood", build.neighbourhood.to_string().into());
    add("--smoothing", build.smoothing.to_string().into());
    add("--seed", build.seed.to_string().into());
    if product.guide {
        add("--preset", "guide".into());
    }
    arguments.push("--layers".into());
    arguments.extend(build.layers.iter().map(|layer| layer.as_str().into()));
    arguments
}

/// The last lines of what the child wrote to stderr.
fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}
