//! Threads of the daemon that stand still while the others go on, as one does that hangs in a library.

use super::{Daemon, skipped};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Attaches to each thread and stops it until its own stdin is closed; a thread cannot be stopped by a signal alone.
const FREEZE: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
SEIZE, INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
for thread in map(int, sys.argv[1:]):
    for request in SEIZE, INTERRUPT:
        if libc.ptrace(request, thread, 0, 0) != 0:
            sys.exit(os.strerror(ctypes.get_errno()))
    os.waitpid(thread, WALL)
print('frozen', flush=True)
sys.stdin.read()
"#;

/// Frozen until it is dropped.
pub struct Frozen {
    tracer: Child,
}

impl Frozen {
    /// Freezes all threads of this name.
    pub fn threads(daemon: &Daemon, name: &str) -> Option<Self> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().flatten();
        let named = tasks.filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name));
        let threads: Vec<_> = named.map(|task| task.file_name()).collect();
        assert!(!threads.is_empty(), "no thread `{name}`");
        let mut command = Command::new("python3");
        command.arg("-c").arg(FREEZE).args(threads).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let Ok(mut tracer) = command.spawn() else { return skipped("python3, to freeze a thread") };
        let mut answer = String::new();
        BufReader::new(tracer.stdout.take().unwrap()).read_line(&mut answer).unwrap();
        if answer.trim_end() != "frozen" {
            let _ = tracer.wait();
            return skipped("root with ptrace, to freeze a thread");
        }
        Some(Self { tracer })
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.tracer.stdin.take());
        let _ = self.tracer.wait();
    }
}
