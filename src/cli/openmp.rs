//! Waiting threads of libtorch sleep instead of spinning.
//!
//! Between two operations of the network OpenMP's threads spin by default, and so take the cores from the decoding of the next image and the
//! writing of the last. Measured on two cores, per image of a folder: EfficientNet-Lite0 23.6 ms instead of 33.8, ResNet50 in
//! bfloat16 80.7 ms instead of 90.7.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// What says how OpenMP's threads wait; whoever has set one of them has decided.
const WAITING: [&str; 2] = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"];

/// Starts the program anew, as the same process and with the same arguments, in an environment that lets waiting threads sleep.
///
/// OpenMP reads its environment when it is loaded, which is before `main`. Loading everything twice takes 0.2 s, so this is for
/// commands that go through many images. Returns when there is nothing to do; also when the program cannot be started
/// anew, which then runs as it is.
pub fn let_waiting_threads_sleep() {
    if WAITING.iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| program.clone().into());
    let error = Command::new(program).arg0(name).args(arguments).env(WAITING[0], "PASSIVE").exec();
    super::complain(&format!("warning: not started anew with {}=PASSIVE, which makes it slower: {error}", WAITING[0]));
}
