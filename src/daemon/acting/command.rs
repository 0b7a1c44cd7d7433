//! One command of `on_ng`: started without a shell, with nothing of the daemon's but its environment, and ended when its time is over.

use crate::crash_point;
use crate::history::ActionEnd;
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// Bytes kept of what a command writes to stderr, from its end.
const STDERR_TAIL: usize = 2048;
/// How long the rest of stderr is waited for after the command has ended; a process it left behind may hold the pipe open for ever.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long a killed process may take to be gone: one in a hung system call ends when that does.
const DEATH: Duration = Duration::from_secs(2);

/// Variables by which systemd speaks to the daemon alone, and by which a test chooses its end.
const NOT_INHERITED: [&str; 6] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", crash_point::VARIABLE];

/// What to run.
pub struct Job {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Added to the daemon's environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// How long it may take.
    pub timeout: Duration,
}

/// Runs the command to its end, which comes at the latest after its time-out, or when `kill` is cancelled.
pub async fn run(job: Job, kill: &CancellationToken) -> ActionEnd {
    let timeout = job.timeout;
    let deadline = tokio::time::sleep(timeout);
    tokio::pin!(deadline);
    let too_long = || format!("took longer than on_ng.timeout ({timeout:?}) and was killed");
    let stopped = || "was killed, as the daemon stopped before it ended".to_owned();

    // Starting waits for the disk that the program is on, and must not hold up the runtime's threads. A child that comes too late is
    // dropped, and so killed.
    let mut starting = tokio::task::spawn_blocking(move || start(job));
    let started = tokio::select! {
        started = &mut starting => started,
        () = &mut deadline => return failed("could not be started in time; its disk or share does not answer".to_owned()),
        () = kill.cancelled() => return failed(stopped()),
    };
    let mut child = match started {
        Ok(Ok(child)) => child,
        Ok(Err(error)) => return failed(format!("could not be started: {error}; see on_ng.command")),
        Err(error) => return failed(format!("could not be started: {error}")),
    };
    let words = child.stderr.take().map(LastWords::listen);
    let ended = tokio::select! {
        ended = child.wait() => Ok(ended),
        () = &mut deadline => Err(too_long()),
        () = kill.cancelled() => Err(stopped()),
    };
    let end = match ended {
        Ok(Ok(status)) => by_itself(status),
        Ok(Err(error)) => failed(format!("could not be waited for: {error}")),
        Err(reason) => {
            kill_group(&child);
            let _ = tokio::time::timeout(DEATH, child.wait()).await;
            failed(reason)
        }
    };
    let stderr = match words {
        Some(words) => words.end().await,
        None => String::new(),
    };
    ActionEnd { stderr, ..end }
}

fn start(job: Job) -> io::Result<Child> {
    let (program, arguments) = job.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = std::process::Command::new(program);
    command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    command.envs(job.environment);
    // A group of its own, so that it can be killed with whatever it has started.
    command.process_group(0);
    Command::from(command).kill_on_drop(true).spawn()
}

fn failed(reason: String) -> ActionEnd {
    ActionEnd { failure: Some(reason), ..ActionEnd::default() }
}

fn by_itself(status: ExitStatus) -> ActionEnd {
    let failure = match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("ended with exit code {code}")),
        (None, Some(signal)) => Some(format!("was killed by signal {signal}")),
        (None, None) => Some(format!("ended with {status}")),
    };
    ActionEnd { failure, exit_code: status.code(), signal: status.signal(), stderr: String::new() }
}

/// The group has the number of the child, which stays the child's until it has been waited for.
fn kill_group(child: &Child) {
    if let Some(group) = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// The end of what a command writes.
struct LastWords {
    tail: Arc<Mutex<Vec<u8>>>,
    reader: tokio::task::JoinHandle<()>,
}

impl LastWords {
    fn listen(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let tail = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&tail);
        let reader = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..length]);
                let surplus = kept.len().saturating_sub(STDERR_TAIL);
                kept.drain(..surplus);
            }
        });
        Self { tail, reader }
    }

    async fn end(mut self) -> String {
        let _ = tokio::time::timeout(LAST_WORDS, &mut self.reader).await;
        self.reader.abort();
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        // A text cannot hold a zero byte everywhere it may be shown.
        String::from_utf8_lossy(&tail).replace('\0', "\u{fffd}").trim_end().to_owned()
    }
}
