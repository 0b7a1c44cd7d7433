//! The port or Unix socket that monitoring listens on.

use crate::config::MetricsAddress;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// How long a program that may listen on a socket file has to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A connection over a port or a socket.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An address in use; dropping it releases the address.
pub enum Socket {
    Port(TcpListener),
    File { listener: UnixListener, _file: SocketFile },
}

/// Why an address cannot be used, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct NoSocket(pub String);

impl Socket {
    /// Opens the address.
    pub async fn open(address: &MetricsAddress) -> Result<Self, NoSocket> {
        match address {
            MetricsAddress::Listen(address) => match TcpListener::bind(address).await {
                Ok(listener) => Ok(Self::Port(listener)),
                Err(error) => Err(no_port(*address, &error)),
            },
            MetricsAddress::Socket(path) => {
                make_way(path).await?;
                let listener = UnixListener::bind(path).map_err(|error| no_file(path, &error))?;
                Ok(Self::File { listener, _file: SocketFile::of(path) })
            }
        }
    }

    /// The next connection.
    pub async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Port(listener) => Box::new(listener.accept().await?.0),
            Self::File { listener, .. } => Box::new(listener.accept().await?.0),
        })
    }
}

pub(crate) fn no_port(address: SocketAddr, error: &io::Error) -> NoSocket {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there (`ss -ltnp` names it); end it, or choose another port in metrics.listen",
        io::ErrorKind::PermissionDenied => "choose a port from 1024 on in metrics.listen",
        _ => "under systemd, RestrictAddressFamilies must name AF_INET and AF_INET6; see docs/monitoring.md",
    };
    NoSocket(format!("{address}: cannot be listened on: {error}; {remedy}"))
}

pub(crate) fn no_file(path: &Path, error: &io::Error) -> NoSocket {
    let folder = path.parent().unwrap_or(Path::new("/")).display();
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => format!("make the folder {folder} (RuntimeDirectory= in the unit), or correct metrics.socket"),
        _ => format!("give the service's user write rights to the folder {folder}, or choose another in metrics.socket"),
    };
    NoSocket(format!("{}: the socket cannot be made: {error}; {remedy}", path.display()))
}

/// Removes the socket of a killed daemon; any other file stays.
async fn make_way(path: &Path) -> Result<(), NoSocket> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let shown = path.display();
    if !found.file_type().is_socket() {
        return Err(NoSocket(format!("{shown}: is there and no socket; remove it, or choose another name in metrics.socket")));
    }
    match tokio::time::timeout(PATIENCE, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(|e| no_file(path, &e)),
        _ => Err(NoSocket(format!("{shown}: another program listens there; end it, or choose another name in metrics.socket"))),
    }
}

/// The file of a Unix socket. Dropping it removes the file, unless another file has its name.
pub struct SocketFile {
    path: PathBuf,
    id: Option<(u64, u64)>,
}

impl SocketFile {
    fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), id: id(path) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.id.is_some() && id(&self.path) == self.id {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn id(path: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

impl fmt::Display for NoSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
