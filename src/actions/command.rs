//! One command of `on_ng`. It starts without a shell, gets nothing from the daemon but its environment, and is killed at its time-out.

use super::families;
use crate::history::ActionEnd;
use crate::platform::crash_point;
use crate::supervisor::END_WORKER;
use rustix::process::{Pid, Signal, kill_process_group};
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, ChildStderr, Command};
use tokio_util::sync::CancellationToken;

/// Bytes kept of what a command writes to stderr, from its end.
const STDERR_TAIL: usize = 2048;
/// The largest number of bytes in a pipe (`/proc/sys/fs/pipe-max-size`): a command can leave no more unread at its end.
const FULLEST_PIPE: usize = 1 << 20;
/// How long a killed process may take to end: in a hung system call, it ends only when the call does.
const DEATH: Duration = Duration::from_secs(2);

/// Variables with which systemd talks only to the daemon, and with which a test chooses its end.
const NOT_INHERITED: [&str; 7] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", crash_point::VARIABLE, END_WORKER];

/// What to run.
pub struct Job {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Added to the daemon's environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// How long it may take.
    pub timeout: Duration,
}

/// Runs the command until it ends, until its time-out, or until `kill` is cancelled.
pub async fn run(job: Job, kill: &CancellationToken) -> ActionEnd {
    let timeout = job.timeout;
    let deadline = tokio::time::sleep(timeout);
    tokio::pin!(deadline);
    let ends_at = std::time::Instant::now() + timeout;
    let mark = job.environment.iter().find(|(name, _)| *name == families::MARK);
    // Before the process exists, so that it is not mistaken for a process that another command left behind.
    let family = families::starts(&mark.map_or_else(Default::default, |(_, value)| value.to_string_lossy()), ends_at);
    let too_long = || format!("took longer than on_ng.timeout ({timeout:?}) and was killed");
    let stopped = || "was killed, as the daemon stopped before it ended".to_owned();

    // The start waits for the program's disk and must not hold up the runtime's threads. A child that comes too late is dropped, and so
    // killed.
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
    if let Some(process) = child.id() {
        family.led_by(process);
    }
    let mut words = match child.stderr.take().map(LastWords::new) {
        Some(Ok(words)) => words,
        Some(Err(error)) => return failed(format!("could not be listened to: {error}")),
        None => return failed("could not be listened to".to_owned()),
    };
    let ended = tokio::select! {
        ended = child.wait() => Ok(ended),
        () = &mut deadline => Err(too_long()),
        () = kill.cancelled() => Err(stopped()),
        never = words.listen() => match never {},
    };
    let end = match ended {
        Ok(Ok(status)) => by_itself(status),
        Ok(Err(error)) => failed(format!("could not be waited for: {error}")),
        Err(reason) => {
            kill_group(&child);
            family.kill().await;
            let _ = tokio::time::timeout(DEATH, child.wait()).await;
            failed(reason)
        }
    };
    ActionEnd { stderr: words.end(), ..end }
}

fn start(job: Job) -> io::Result<Child> {
    let (program, arguments) = job.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = std::process::Command::new(program);
    command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    command.envs(job.environment);
    // A group of its own: one signal kills the command and what it started. Processes that left the group are found afterwards.
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

/// The group has the child's process id, which stays the child's until somebody waits for the child.
fn kill_group(child: &Child) {
    if let Some(group) = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// The end of what a command writes.
struct LastWords {
    pipe: Receiver,
    tail: Vec<u8>,
}

impl LastWords {
    fn new(pipe: ChildStderr) -> io::Result<Self> {
        Ok(Self { pipe: Receiver::from_owned_fd(pipe.into_owned_fd()?)?, tail: Vec::new() })
    }

    /// Reads the output, so that the command never waits for room in the pipe. A cancelled call loses nothing.
    async fn listen(&mut self) -> Infallible {
        while self.pipe.readable().await.is_ok() {
            let mut buffer = [0; 4096];
            match self.pipe.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => self.keep(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
        std::future::pending().await
    }

    /// Adds the rest in the pipe, which completes the output of an ended command. A process that the command left behind may hold the pipe
    /// open for ever; nobody waits for it.
    fn end(mut self) -> String {
        let mut unread = FULLEST_PIPE;
        let mut buffer = [0; 4096];
        // Reads directly, because tokio reads only after a notification.
        while unread > 0
            && let Ok(length @ 1..) = rustix::io::read(&self.pipe, &mut buffer)
        {
            self.keep(&buffer[..length]);
            unread = unread.saturating_sub(length);
        }
        // Some places that show the text cannot take a zero byte.
        String::from_utf8_lossy(&self.tail).replace('\0', "\u{fffd}").trim_end().to_owned()
    }

    fn keep(&mut self, piece: &[u8]) {
        self.tail.extend_from_slice(piece);
        let surplus = self.tail.len().saturating_sub(STDERR_TAIL);
        self.tail.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_words_are_read_though_nobody_had_time_to_listen() {
        let script = "head -c 50000 /dev/zero | tr '\\0' x >&2; echo the end >&2; sleep 1000 >/dev/null &";
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let mut child = start(Job { command, environment: Vec::new(), timeout: Duration::MAX }).unwrap();
        let words = LastWords::new(child.stderr.take().unwrap()).unwrap();
        let id = child.id().unwrap();
        assert!(child.wait().await.unwrap().success());
        let words = words.end();
        assert!(words.ends_with("xxxthe end") && words.len() < STDERR_TAIL, "{} bytes: {words}", words.len());
        // The process that it left behind still holds the pipe.
        kill_process_group(Pid::from_raw(id.cast_signed()).unwrap(), Signal::KILL).unwrap();
    }
}
