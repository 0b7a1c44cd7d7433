//! Settings of the libraries that they read only from the environment, and only when they are loaded, which is before `main`.
//!
//! - Waiting threads of libtorch sleep instead of spinning. Between two operations of the network OpenMP's threads spin by default, and
//!   so take the cores from the decoding of the next image and the writing of the last. Measured on two cores, per image of a folder:
//!   EfficientNet-Lite0 23.6 ms instead of 33.8, ResNet50 in bfloat16 80.7 ms instead of 90.7.
//! - All threads share two heaps. By default glibc gives new threads heaps of their own, up to eight for each core, and each keeps the
//!   most that a network ever took from it. Measured after 16 reloads: 284 MB and no more growth, instead of 662 MB and growing.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Variable, value, and the variables with which somebody may have decided otherwise.
const SETTINGS: [(&str, &str, &[&str]); 2] =
    [("OMP_WAIT_POLICY", "PASSIVE", &["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"]), ("MALLOC_ARENA_MAX", "2", &["MALLOC_ARENA_MAX"])];

/// Starts the program anew, as the same process and with the same arguments, in an environment for going through many images.
///
/// Loading everything twice takes 0.2 s, so this is not for one image. Returns when there is nothing to set; also when the program cannot
/// be started anew, which then runs as it is.
pub fn set_for_many_images() {
    let is_open = |names: &[&str]| names.iter().all(|name| std::env::var_os(name).is_none());
    let missing: Vec<_> = SETTINGS.iter().filter(|(_, _, decided)| is_open(decided)).map(|(name, value, _)| (name, value)).collect();
    if missing.is_empty() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| program.clone().into());
    let error = Command::new(program).arg0(name).args(arguments).envs(missing).exec();
    super::output::complain(&format!("warning: not started anew with the environment that it is best in: {error}"));
}
