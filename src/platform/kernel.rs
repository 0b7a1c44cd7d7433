//! What the kernel knows of threads and processes, for example whether a thread is in a system call: only this shows whether a share
//! hangs or the daemon does.

use std::os::unix::ffi::OsStrExt;

/// Calls of x86-64 that wait for another thread, and not for a file.
const FUTEX: &str = "202";
const FUTEX_WAITV: &str = "449";

/// The calling thread, as [`is_in_system_call`] knows it.
pub fn this_thread() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// True when the system keeps this thread of the process, but not to wait for another thread; false when it computes.
///
/// If the kernel does not say, true: then a share is blamed, and nothing is restarted because of it.
pub fn is_in_system_call(thread: u32) -> bool {
    is_in_call(&format!("/proc/self/task/{thread}"))
}

/// True when a thread of this process is in a system call, as for [`is_in_system_call`]; also when the process has ended.
pub fn has_thread_in_system_call(process: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return true };
    threads.flatten().any(|thread| thread.path().to_str().is_none_or(is_in_call))
}

/// How long the process has computed, in the kernel's ticks; `None` when it has ended.
pub fn ticks(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything; then come the state and, eleven fields later, the user and system times.
    let mut times = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(times.next()?.parse::<u64>().ok()? + times.next()?.parse::<u64>().ok()?)
}

/// A process of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// The number of its parent.
    pub parent: u32,
    /// It has ended, and its parent has not waited for it.
    pub is_dead: bool,
}

/// All visible processes.
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

/// A variable from the environment that the process was started with; `None` also when this process may not read it.
pub fn variable(process: u32, name: &str) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{process}/environ")).ok()?;
    let value = |entry: &[u8]| Some(String::from_utf8_lossy(entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?).into_owned());
    environment.split(|byte| *byte == 0).find_map(value)
}

/// True when the process runs the same file as this one.
pub fn runs_this_program(process: u32) -> bool {
    let program = |process: &str| std::fs::read_link(format!("/proc/{process}/exe")).ok();
    // After an upgrade another file is in its place, and the kernel adds that to the name.
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

    /// Whether the thread reaches this state; that may take a moment.
    fn becomes(thread: u32, expected: bool) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(60) {
            // Twice, so that a short call does not count.
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
