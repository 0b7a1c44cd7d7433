//! The resources of the process, under the names that all Prometheus programs use.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

/// Seconds since 1970.
static STARTED: LazyLock<f64> =
    LazyLock::new(|| SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()));

/// Records that the process starts now.
pub fn started() {
    LazyLock::force(&STARTED);
}

/// Adds the values that the system gives, and leaves out the others.
pub fn register(registry: &mut Registry) {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let seconds: Counter<f64, AtomicU64> = Counter::default();
    seconds.inc_by(Duration::new(cpu.tv_sec.unsigned_abs(), u32::try_from(cpu.tv_nsec).unwrap_or(0)).as_secs_f64());
    registry.register_with_unit("process_cpu", "Processor time that the process has used", Unit::Seconds, seconds);
    gauge(registry, "process_start_time", "When the process started, since 1970", Some(Unit::Seconds), Some(*STARTED));
    gauge(registry, "process_resident_memory", "Memory that the process holds", Some(Unit::Bytes), resident_bytes());
    let open = std::fs::read_dir("/proc/self/fd").map(|entries| entries.count().saturating_sub(1) as f64);
    gauge(registry, "process_open_fds", "Open file descriptors", None, open.ok());
    let most = getrlimit(Resource::Nofile).current.map(|most| most as f64);
    gauge(registry, "process_max_fds", "Most file descriptors that may be open", None, most);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, unit: Option<Unit>, value: Option<f64>) {
    let Some(value) = value else { return };
    let gauge: Gauge<f64, AtomicU64> = Gauge::default();
    gauge.set(value);
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, gauge),
        None => registry.register(name, help, gauge),
    }
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0)
}
