//! The connection data of the MQTT broker: address, client name, password, certificates. And its problems, in words.

use crate::config::MqttConfig;
use crate::platform::files;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, EventLoop, MqttOptions, NetworkOptions, StateError, TlsConfiguration, TlsError,
    Transport,
};
use rustix::io::Errno;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A broker that is silent for twice this long counts as lost.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The size of the largest message in bytes: three paths with every byte escaped, and room for the rest.
const LARGEST_MESSAGE: usize = 256 * 1024;
/// The size of the largest packet from the broker in bytes; acknowledgements have four.
const LARGEST_ANSWER: usize = 4096;
/// No password is longer; a larger file is the wrong one.
const LONGEST_PASSWORD: u64 = 64 * 1024;

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The reason in words, and the remedy.
    pub reason: String,
    /// True when it does not recover by itself.
    pub needs_somebody: bool,
}

impl Loss {
    pub fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), needs_somebody: false }
    }

    fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), needs_somebody: true }
    }

    /// Made from the library's error.
    pub fn from_library(error: &ConnectionError, config: &MqttConfig) -> Self {
        match error {
            ConnectionError::ConnectionRefused(ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized) => {
                Self::lasting("refuses the user name or the password; check mqtt.username and the file mqtt.password_file")
            }
            ConnectionError::ConnectionRefused(code) => Self::lasting(format!("refuses the connection: {code:?}; see the broker's log")),
            // A certificate problem arrives as invalid data; any other error is the network.
            ConnectionError::Tls(TlsError::Io(error)) if error.kind() != io::ErrorKind::InvalidData => {
                Self::passing(format!("{error}; check the network and the broker"))
            }
            ConnectionError::Tls(error) => {
                let trust = config.ca.as_ref().map_or("the certificates of the system".to_owned(), |ca| ca.display().to_string());
                Self::lasting(format!("no encrypted connection: {error}; its certificate is checked against {trust} (mqtt.ca)"))
            }
            ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout | ConnectionError::MqttState(StateError::AwaitPingResp) => {
                Self::passing("does not answer; check the network and the broker")
            }
            ConnectionError::MqttState(StateError::ConnectionAborted) => Self::passing("closed the connection"),
            ConnectionError::Io(error) if Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT) => {
                Self::lasting("the service may not use the network; add AF_INET and AF_INET6 to RestrictAddressFamilies of its unit")
            }
            ConnectionError::Io(error) | ConnectionError::MqttState(StateError::Io(error)) => {
                Self::passing(format!("{error}; check the network and the broker"))
            }
            other => Self::passing(other.to_string()),
        }
    }
}

/// A client that is not connected yet. At most `window` messages are unacknowledged at a time.
pub async fn client(config: &MqttConfig, window: u16) -> Result<(AsyncClient, EventLoop), Loss> {
    let config = config.clone();
    let options = tokio::task::spawn_blocking(move || options(&config)).await.map_err(|e| Loss::passing(e.to_string()))?;
    let mut options = options.map_err(Loss::lasting)?;
    options.set_inflight(window);
    let (client, mut events) = AsyncClient::new(options, usize::from(window));
    let mut network = NetworkOptions::new();
    // Messages are small, and each must leave at once.
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    Ok((client, events))
}

fn options(config: &MqttConfig) -> Result<MqttOptions, String> {
    let host_name = || format!("patchcored-{}", rustix::system::uname().nodename().to_string_lossy());
    let id = config.client_id.clone().unwrap_or_else(host_name);
    let mut options = MqttOptions::new(id, config.host.clone(), config.port);
    options.set_keep_alive(KEEP_ALIVE).set_max_packet_size(LARGEST_ANSWER, LARGEST_MESSAGE);
    // The history keeps unacknowledged messages, and the daemon sends them again from there.
    options.set_clean_session(true);
    if let Some(username) = &config.username {
        let password = config.password_file.as_deref().map_or(Ok(String::new()), read_password);
        let password = password.map_err(|fault| format!("mqtt.password_file: {fault}"))?;
        options.set_credentials(username, password);
    }
    if config.tls {
        let roots = match &config.ca {
            Some(ca) => read_certificates(ca).map_err(|fault| format!("mqtt.ca: {fault}"))?,
            None => system_certificates()?,
        };
        options.set_transport(Transport::tls_with_config(tls(roots)?));
    }
    Ok(options)
}

/// The problems on this machine of the files that the section names, by key.
pub fn file_problems(config: &MqttConfig) -> Vec<(&'static str, String)> {
    let password = config.password_file.as_deref().and_then(|file| read_password(file).err()).map(|fault| ("mqtt.password_file", fault));
    let ca = config.ca.as_deref().and_then(|file| read_certificates(file).err()).map(|fault| ("mqtt.ca", fault));
    password.into_iter().chain(ca).collect()
}

/// The first line of the password file. The error never shows any of it.
fn read_password(file: &Path) -> Result<String, String> {
    let shown = file.display();
    let unreadable = |e: io::Error| format!("cannot read {shown}: {e}; give it to the service's user");
    let open = std::fs::File::open(file).map_err(unreadable)?;
    let meta = open.metadata().map_err(unreadable)?;
    if !meta.is_file() || meta.len() > LONGEST_PASSWORD {
        return Err(format!("{shown} is no file with a password in its first line"));
    }
    if meta.permissions().mode() & 0o007 != 0 {
        return Err(format!("everybody has access to {shown}; take it away with `chmod o= {}`", files::shell_word(file)));
    }
    let mut text = String::new();
    open.take(LONGEST_PASSWORD).read_to_string(&mut text).map_err(unreadable)?;
    match text.lines().next() {
        Some(password) if !password.is_empty() => Ok(password.to_owned()),
        _ => Err(format!("the first line of {shown} is empty; write the password there")),
    }
}

/// The certificates in a PEM file, at least one.
fn read_certificates(file: &Path) -> Result<RootCertStore, String> {
    let shown = file.display();
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates =
        certificates.map_err(|e| format!("cannot read {shown}: {e}; it must be a PEM file that the service's user can read"))?;
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err(format!("{shown} has no certificate (PEM, `-----BEGIN CERTIFICATE-----`)")),
        _ => Ok(roots),
    }
}

fn system_certificates() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs) {
        (0, _) => Err("the system has no certificates to trust; name those of the broker's issuer in mqtt.ca".to_owned()),
        _ => Ok(roots),
    }
}

fn tls(roots: RootCertStore) -> Result<TlsConfiguration, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth().into())
}
