//! What the kernel tells of threads and processes. Whether a thread is in a system call, for one: that a share hangs can be told from
//! that the daemon does only there.

use std::os::unix::ffi::OsStrExt;

/// x86-64. Waiting for another thread is nothing that the system does for a file.
const FUTEX: &str = "202";
const FUTEX_WAITV: &str = "449";

/// The calling thread, as [`is_in_system_call`] knows it.
pub fn this_thread() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// True when this thread of the process is kept by the system, other than by waiting for another thread; false when it computes.
///
/// Where the kernel does not tell, true: a share is then held responsible, and nothing is restarted because of it.
pub fn is_in_system_call(thread: u32) -> bool {
    is_in_call(&format!("/proc/self/task/{thread}"))
}

/// True when a thread of this process is in a system call, as [`is_in_system_call`] tells it; also when the process is gone.
pub fn has_thread_in_system_call(process: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return true };
    threads.flatten().any(|thread| thread.path().to_str().is_none_or(is_in_call))
}

/// The time that the process has computed, in the kernel's ticks; `None` when it is gone.
pub fn ticks(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything; then come the state and, eleven fields on, the times as user and as system.
    let mut times = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(times.next()?.parse::<u64>().ok()? + times.next()?.parse::<u64>().ok()?)
}

/// A process of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// That of its parent.
    pub parent: u32,
    /// It has ended, and its parent has not waited for it.
    pub is_dead: bool,
}

/// All processes that can be seen.
pub fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn process(id: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // After the name come the state and the parent.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    Some(Process { id, parent: fields.next()?.parse().ok()?, is_dead })
}

/// A variable in the environment that the process was started with; `None` also when it may not be asked.
pub fn variable(process: u32, name: &str) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{process}/environ")).ok()?;
    let value = |entry: &[u8]| Some(String::from_utf8_lossy(entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?).into_owned());
    environment.split(|byte| *byte == 0).find_map(value)
}

/// True when the process runs the same file as this one.
pub fn runs_this_program(process: u32) -> bool {
    let program = |process: &str| std::fs::read_link(format!("/proc/{process}/exe")).ok();
    // An upgrade has put another file in its place, and the kernel says so in the name.
    let name = |path: std::path::PathBuf| path.as_os_str().as_bytes().to_owned();
    program(&process.to_string()).map(name) == program("self").map(name)
}

fn is_in_call(task: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("{task}/syscall")) else { return true };
    // `running`, or the number of the call and its arguments; -1 outside of a call.
    !matches!(text.split_whitespace().next(), None | Some("running" | "-1" | FUTEX | FUTEX_WAITV))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    /// Whether the thread comes to be in this state; it may be on its way there for a moment.
    fn becomes(thread: u32, expected: bool) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(60) {
            // Twice, so that a call on the way does not count.
            if (0..2).all(|_| {
                std::thread::sleep(Duration::from_millis(20));
                is_in_system_call(thread) == expected
            }) {
                return true;
            }
        }
        false
    }

    #[test]
    fn a_thread_that_reads_is_told_from_one_that_computes_and_one_that_waits_for_it() {
        use std::io::Read;
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (tell, told) = channel();
        static COMPUTE: AtomicBool = AtomicBool::new(true);
        let (release, released) = channel::<()>();
        std::thread::scope(|scope| {
            let (t1, t2, t3) = (tell.clone(), tell.clone(), tell.clone());
            scope.spawn(move || {
                t1.send(("reads", this_thread())).unwrap();
                let _ = reader.read(&mut [0]);
            });
            scope.spawn(move || {
                t2.send(("computes", this_thread())).unwrap();
                while COMPUTE.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            scope.spawn(move || {
                t3.send(("waits", this_thread())).unwrap();
                let _ = released.recv();
            });
            for _ in 0..3 {
                let (what, thread) = told.recv().unwrap();
                assert!(becomes(thread, what == "reads"), "{what}");
            }
            COMPUTE.store(false, Ordering::Relaxed);
            drop((writer, release));
        });
        assert!(is_in_system_call(0), "unknown");
    }
}
