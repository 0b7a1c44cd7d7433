//! Tests from another process than the daemon whether it could listen on an address.

use super::pages::SERVER;
use super::socket::{no_file, no_port};
use crate::config::MetricsAddress;
use rustix::fs::{Access, access};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a program that already listens there has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a daemon with this address would have no monitoring, and what to do about it; `None` when it would work, or when a daemon already
/// uses it. Leaves nothing behind.
pub fn address_problem(address: &MetricsAddress) -> Option<String> {
    match address {
        MetricsAddress::Listen(address) => {
            let error = TcpListener::bind(address).err()?;
            let is_ours = error.kind() == io::ErrorKind::AddrInUse
                && TcpStream::connect_timeout(address, PATIENCE).is_ok_and(|stream| {
                    let timed = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
                    timed.is_ok() && is_patchcored(stream)
                });
            (!is_ours).then(|| no_port(*address, &error).to_string())
        }
        MetricsAddress::Socket(path) => socket_problem(path),
    }
}

fn socket_problem(path: &Path) -> Option<String> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            Some(format!("{}: is there and no socket; remove it, or choose another name", path.display()))
        }
        Ok(_) => match UnixStream::connect(path) {
            // The next start removes the socket of a killed daemon.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => None,
            Err(error) => Some(no_file(path, &error).to_string()),
            Ok(stream) => {
                let timed = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
                let is_ours = timed.is_ok() && is_patchcored(stream);
                (!is_ours).then(|| format!("{}: another program listens there; end it, or choose another name", path.display()))
            }
        },
        Err(_) => {
            let folder = path.parent().unwrap_or(Path::new("/"));
            let error = access(folder, Access::WRITE_OK | Access::EXEC_OK).err()?;
            Some(no_file(path, &error.into()).to_string())
        }
    }
}

/// Asks the listener whether it is patchcored.
fn is_patchcored(mut stream: impl Read + Write) -> bool {
    let mut answer = Vec::new();
    // A head of this size is enough. The rest does not matter, even if it never comes.
    let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let _ = stream.take(4096).read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    let name = SERVER.split('/').next().unwrap_or_default();
    asked.is_ok() && text.contains(&format!("\r\nserver: {name}/"))
}
