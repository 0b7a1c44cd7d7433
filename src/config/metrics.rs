//! `metrics:`

use super::MetricsAddress;
use super::check::Problems;
use super::raw::RawMetrics;
use std::net::SocketAddr;
use std::path::Path;

/// Bytes of the longest path that a socket can have on Linux.
const LONGEST_SOCKET: usize = 107;

pub(super) fn check(raw: RawMetrics, problems: &mut Problems) -> Option<MetricsAddress> {
    let RawMetrics { listen, socket } = raw;
    match (listen, socket) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            problems.add("metrics.socket", "stands beside `listen`, but the metrics have one address; remove one of the two");
            None
        }
        (Some(text), None) => check_listen(&text, problems).map(MetricsAddress::Listen),
        (None, Some(path)) => {
            let path = problems.path("metrics.socket", &path);
            let length = path.as_os_str().len();
            let message = format!("has {length} bytes, and {LONGEST_SOCKET} is the most for a socket; write for example {EXAMPLE_SOCKET}");
            problems.need(length <= LONGEST_SOCKET, "metrics.socket", message);
            problems.need(path != Path::new("/"), "metrics.socket", format!("names no file; write for example {EXAMPLE_SOCKET}"));
            Some(MetricsAddress::Socket(path))
        }
    }
}

const EXAMPLE_SOCKET: &str = "/run/patchcored/metrics.sock";

fn check_listen(text: &str, problems: &mut Problems) -> Option<SocketAddr> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        problems.add("metrics.listen", format!("`{text}` is no address with a port; write for example 127.0.0.1:9464"));
        return None;
    };
    let open = format!(
        "{address} can be reached from other machines, without password or encryption; listen on 127.0.0.1:{} and put a reverse proxy (nginx, Caddy) with both before it",
        address.port()
    );
    problems.need(address.ip().is_loopback(), "metrics.listen", open);
    problems.need(address.port() != 0, "metrics.listen", "port 0 is another port at every start; write for example 127.0.0.1:9464");
    Some(address)
}
