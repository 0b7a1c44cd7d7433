//! `patchcored build` as a child process: niced, ended with the daemon; its last lines of stderr are kept.

use super::{BackgroundJob, BuildJob, BuildPercent, BuildReport, CompareJob, SelfTestJob};
use crate::domain::Comparison;
use crate::platform::kernel::{has_thread_in_system_call, ticks};
use crate::telemetry::{Progress, Silence};
use anyhow::{Context, bail};
use parking_lot::Mutex;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::sync::watch;

/// The program that is running, even while an upgrade replaces its file. So daemon and build have one version and one set of arguments.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The report of a finished build.
#[derive(Debug)]
pub struct Built {
    /// How long it took.
    pub seconds: f64,
    /// What the build process said; `None` when it said nothing that can be read.
    pub report: Option<BuildReport>,
}

/// A signal ended the build process, most often because memory ran out; the ok folder is not at fault.
#[derive(Debug, thiserror::Error)]
#[error("the build process was killed by signal {signal} (9: for want of memory, or by hand); it is tried again; its last words: {words}")]
pub struct Killed {
    signal: i32,
    words: String,
}

/// The build process did not start, most often because memory or processes ran out; the ok folder is not at fault.
#[derive(Debug, thiserror::Error)]
#[error("the build process could not be started: {0}")]
pub struct NotStarted(std::io::Error);

/// Builds a bank of `product`, and says now and then how much is done, in hundredths. Dropping the future ends the child.
///
/// # Errors
/// When the child fails; the message has its last lines of stderr. [`NotStarted`], and [`Killed`] when a signal ended it.
pub async fn run(product: &str, job: BuildJob, progress: &Arc<Progress>, percent: watch::Sender<u8>) -> anyhow::Result<Built> {
    let begin = Instant::now();
    let answer = run_job(format!("build of {product}"), &BackgroundJob::Build(job), progress, &percent).await?;
    Ok(Built { seconds: begin.elapsed().as_secs_f64(), report: serde_json::from_slice(&answer).ok() })
}

/// Has a finished bank of `product` judge recent images. Dropping the future ends the child.
///
/// # Errors
/// As [`run`], and when the child takes twice the time of the job.
pub async fn run_comparison(product: &str, job: CompareJob, progress: &Arc<Progress>) -> anyhow::Result<Comparison> {
    let limit = Duration::from_secs(2 * job.seconds);
    let job = BackgroundJob::Compare(job);
    let nobody = watch::Sender::new(0);
    let work = run_job(format!("comparison of {product}"), &job, progress, &nobody);
    let answer = tokio::time::timeout(limit, work).await.with_context(|| format!("no answer within {limit:?}"))??;
    serde_json::from_slice(&answer).context("the build process did not say what it found")
}

/// Has a new bank of `product` find planted defects; gives one sentence for each kind. Dropping the future ends the child.
///
/// # Errors
/// As [`run`].
pub async fn run_self_test(product: &str, job: SelfTestJob, progress: &Arc<Progress>) -> anyhow::Result<Vec<String>> {
    let nobody = watch::Sender::new(0);
    let answer = run_job(format!("self-test of {product}"), &BackgroundJob::SelfTest(job), progress, &nobody).await?;
    serde_json::from_slice(&answer).context("the build process did not say what it found")
}

/// Runs one job in a child process; gives the last line that the child wrote to stdout.
async fn run_job(name: String, job: &BackgroundJob, progress: &Arc<Progress>, percent: &watch::Sender<u8>) -> anyhow::Result<Vec<u8>> {
    let order = serde_json::to_vec(job).context("the job cannot be written as JSON")?;
    let mut child = Command::new(OWN_PROGRAM)
        .arg0("patchcored")
        .args(["build", "--background", &std::process::id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(NotStarted)?;
    let steps = Mutex::new(Steps { ticks: 0, at: Instant::now() });
    let _watch = child.id().map(|process| progress.watch(name, move || silence(process, &steps)));
    if let Some(mut stdin) = child.stdin.take() {
        // A child that has died gives its reason on stderr.
        let _ = stdin.write_all(&order).await;
    }
    let stdout = child.stdout.take();
    let (output, answer) = tokio::join!(child.wait_with_output(), last_line(stdout, percent));
    let output = output.context("the build process could not be waited for")?;
    if let Some(signal) = output.status.signal() {
        return Err(Killed { signal, words: last_words(&output.stderr) }.into());
    }
    if !output.status.success() {
        bail!("the build process ended with {}: {}", output.status, last_words(&output.stderr));
    }
    answer.context("the build process could not be read")
}

/// How long a process has computed, and when that time last grew.
struct Steps {
    ticks: u64,
    at: Instant,
}

/// A build makes progress as long as it computes, or the system keeps it waiting for its files.
fn silence(process: u32, steps: &Mutex<Steps>) -> Silence {
    let mut steps = steps.lock();
    match ticks(process) {
        Some(ticks) if ticks == steps.ticks => {
            if has_thread_in_system_call(process) {
                steps.at = Instant::now();
            }
        }
        Some(ticks) => *steps = Steps { ticks, at: Instant::now() },
        // It has ended, and the task that started it will notice soon.
        None => return Silence { silent_for: Duration::ZERO, long: true },
    }
    Silence { silent_for: steps.at.elapsed(), long: true }
}

/// Reads to the end; gives the last line, and passes on what the lines before it say of how much is done.
async fn last_line(stdout: Option<ChildStdout>, percent: &watch::Sender<u8>) -> std::io::Result<Vec<u8>> {
    let mut last = Vec::new();
    let Some(stdout) = stdout else { return Ok(last) };
    let mut lines = BufReader::new(stdout).split(b'\n');
    while let Some(line) = lines.next_segment().await? {
        match serde_json::from_slice(&line) {
            Ok(BuildPercent { percent: done }) => {
                percent.send_replace(done);
            }
            Err(_) => last = line,
        }
    }
    Ok(last)
}

/// The last lines of what the child wrote to stderr.
fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}
