//! `metrics:`: the address for monitoring.

use crate::config::collector::Problems;
use crate::config::values::FilePath;
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Bytes of the longest path that a socket can have on Linux.
const LONGEST_SOCKET: usize = 107;

const EXAMPLE_SOCKET: &str = "/run/patchcored/metrics.sock";

/// `metrics:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsAddress {
    /// A port of this machine that other machines cannot reach.
    Listen(SocketAddr),
    /// A Unix socket.
    Socket(PathBuf),
}

/// The shape of `metrics:` in the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawMetrics {
    /// The address and port on this machine, for example `127.0.0.1:9464`. Only loopback addresses are allowed, because there is no
    /// password. A reverse proxy makes the pages available to other machines.
    pub listen: Option<String>,
    /// The path of a Unix socket instead of a port, for example `/run/patchcored/metrics.sock`. Its folder must be writable for the service.
    pub socket: Option<FilePath>,
}

/// `None` without an address.
pub(in crate::config) fn check(raw: RawMetrics, problems: &mut Problems) -> Option<MetricsAddress> {
    let RawMetrics { listen, socket } = raw;
    match (listen, socket) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            problems.add("metrics.socket", "stands beside `listen`, but the metrics have one address; remove one of the two");
            None
        }
        (Some(text), None) => check_listen(&text, problems).map(MetricsAddress::Listen),
        (None, Some(FilePath(path))) => {
            let path = problems.path("metrics.socket", &path);
            let length = path.as_os_str().len();
            let message = format!("has {length} bytes, and {LONGEST_SOCKET} is the most for a socket; write for example {EXAMPLE_SOCKET}");
            problems.need(length <= LONGEST_SOCKET, "metrics.socket", message);
            problems.need(path != Path::new("/"), "metrics.socket", format!("names no file; write for example {EXAMPLE_SOCKET}"));
            Some(MetricsAddress::Socket(path))
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_alone;

    #[test]
    fn one_address_is_taken() {
        assert_eq!(check_alone("{}", check), (None, String::new()));
        let listen = MetricsAddress::Listen(SocketAddr::from(([127, 0, 0, 1], 9464)));
        assert_eq!(check_alone("{listen: '127.0.0.1:9464'}", check), (Some(listen), String::new()));
        assert_eq!(check_alone("{socket: /run/m.sock}", check), (Some(MetricsAddress::Socket("/run/m.sock".into())), String::new()));
    }

    #[test]
    fn other_machines_two_addresses_and_long_paths_are_refused() {
        for (text, words) in [
            ("{listen: localhost}", "metrics.listen: `localhost` is no address with a port"),
            ("{listen: '0.0.0.0:1'}", "metrics.listen: 0.0.0.0:1 can be reached from other machines"),
            ("{listen: '127.0.0.1:0'}", "metrics.listen: port 0 is another port at every start"),
            ("{listen: '127.0.0.1:1', socket: /m}", "metrics.socket: stands beside `listen`"),
            ("{socket: /}", "metrics.socket: names no file"),
        ] {
            let (_, problems) = check_alone(text, check);
            assert!(problems.starts_with(words), "{text}: {problems}");
        }
        let (_, problems) = check_alone(&format!("{{socket: /{}}}", "x".repeat(LONGEST_SOCKET)), check);
        assert!(problems.starts_with("metrics.socket: has 108 bytes"), "{problems}");
    }
}
