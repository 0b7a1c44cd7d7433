//! Threads of the daemon that stand still while the others go on, as one does that hangs in a library.

use super::{Daemon, skipped};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Attaches to each thread of the name, also to those that are started later, and stops it until its own stdin is closed; a thread cannot be
/// stopped by a signal alone.
const FREEZE: &str = r#"
import ctypes, os, select, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
SEIZE, INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
process, name = sys.argv[1:]
frozen = set()
def freeze_new():
    for thread in map(int, os.listdir(f'/proc/{process}/task')):
        try:
            if thread in frozen or open(f'/proc/{process}/task/{thread}/comm').read().rstrip('\n') != name:
                continue
        except FileNotFoundError:
            continue
        for request in SEIZE, INTERRUPT:
            if libc.ptrace(request, thread, 0, 0) != 0:
                sys.exit(os.strerror(ctypes.get_errno()))
        os.waitpid(thread, WALL)
        frozen.add(thread)
freeze_new()
print('frozen' if frozen else 'no such thread', flush=True)
while not select.select([sys.stdin], [], [], 0.05)[0]:
    freeze_new()
"#;

/// Frozen until it is dropped.
pub struct Frozen {
    tracer: Child,
}

impl Frozen {
    /// Freezes all threads of this name, and those that come.
    pub fn threads(daemon: &Daemon, name: &str) -> Option<Self> {
        let mut command = Command::new("python3");
        command.arg("-c").arg(FREEZE).arg(daemon.pid().to_string()).arg(name);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let Ok(mut tracer) = command.spawn() else { return skipped("python3, to freeze a thread") };
        let mut answer = String::new();
        BufReader::new(tracer.stdout.take().unwrap()).read_line(&mut answer).unwrap();
        assert_ne!(answer.trim_end(), "no such thread", "{name}");
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
