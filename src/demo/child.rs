//! The real daemon as a child process. It never outlives the demo.

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Lines of the log that an error shows.
const TAIL: usize = 15;
/// How often a waiting demo looks.
const GLANCE: Duration = Duration::from_millis(100);

/// A running `patchcored run`.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts this very program as `run --config CONFIG`; all that it says goes to `log`.
    pub fn start(config: &Path, log: &Path) -> anyhow::Result<Daemon> {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = output.try_clone().with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new(&program)
            .arg("run")
            .arg("--config")
            .arg(config)
            // A demo that is itself run by systemd must not let its daemon speak in its name.
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("cannot start {} run", program.display()))?;
        Ok(Daemon { child, log: log.to_owned() })
    }

    /// The daemon's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready`; an error after `patience`, or as soon as the daemon ends.
    pub fn wait_until(&mut self, what: &str, patience: Duration, mut ready: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while !ready()? {
            self.check_running()?;
            if Instant::now() > deadline {
                bail!("waited {} s for {what}, in vain; {}", patience.as_secs(), self.tail());
            }
            sleep(GLANCE);
        }
        Ok(())
    }

    /// An error with the end of the log if the daemon has ended.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait().context("cannot watch the daemon")? {
            bail!("the daemon ended ({status}); {}", self.tail());
        }
        Ok(())
    }

    /// Asks the daemon to stop, as systemd would, and waits for it to end with exit code 0.
    pub fn stop(mut self, patience: Duration) -> anyhow::Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).context("cannot signal the daemon")?;
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait().context("cannot watch the daemon")? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the daemon was told to stop and ended badly ({status}); {}", self.tail()),
                None if Instant::now() > deadline => {
                    bail!("the daemon did not stop within {} s of SIGTERM; {}", patience.as_secs(), self.tail())
                }
                None => sleep(GLANCE),
            }
        }
    }

    fn tail(&self) -> String {
        let text = fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let end = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n  ");
        format!("the end of its log {}:\n  {end}", self.log.display())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already or about to; there is nobody left to tell.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
