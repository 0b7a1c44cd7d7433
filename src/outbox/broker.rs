//! The connection data of the MQTT broker: address, client name, password, certificates. And why there is no connection, in words.

use super::broker_files::{BrokerFileError, read_certificates, read_password, system_certificates};
use crate::config::MqttConfig;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, EventLoop, MqttOptions, NetworkOptions, StateError, TlsConfiguration, TlsError,
    Transport,
};
use rustix::io::Errno;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A broker that is silent for twice this long counts as lost.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The size of the largest message in bytes: three paths with every byte escaped, and room for the rest.
const LARGEST_MESSAGE: usize = 256 * 1024;
/// The size of the largest packet from the broker in bytes; acknowledgements have four.
const LARGEST_ANSWER: usize = 4096;

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
    let mut options = options.map_err(|error| Loss::lasting(error.to_string()))?;
    options.set_inflight(window);
    let (client, mut events) = AsyncClient::new(options, usize::from(window));
    let mut network = NetworkOptions::new();
    // Messages are small, and each must leave at once.
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    Ok((client, events))
}

/// Why no connection can be tried.
#[derive(Debug, thiserror::Error)]
enum OptionsError {
    /// A file of the section.
    #[error(transparent)]
    File(#[from] BrokerFileError),
    /// The TLS library.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

fn options(config: &MqttConfig) -> Result<MqttOptions, OptionsError> {
    let host_name = || format!("patchcored-{}", rustix::system::uname().nodename().to_string_lossy());
    let id = config.client_id.clone().unwrap_or_else(host_name);
    let mut options = MqttOptions::new(id, config.host.clone(), config.port);
    options.set_keep_alive(KEEP_ALIVE).set_max_packet_size(LARGEST_ANSWER, LARGEST_MESSAGE);
    // The history keeps unacknowledged messages, and the daemon sends them again from there.
    options.set_clean_session(true);
    if let Some(username) = &config.username {
        let password = config.password_file.as_deref().map_or(Ok(String::new()), read_password);
        options.set_credentials(username, password.map_err(BrokerFileError::from)?);
    }
    if config.tls {
        let roots = match &config.ca {
            Some(ca) => read_certificates(ca).map_err(BrokerFileError::from)?,
            None => system_certificates()?,
        };
        options.set_transport(Transport::tls_with_config(tls(roots)?));
    }
    Ok(options)
}

fn tls(roots: RootCertStore) -> Result<TlsConfiguration, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth().into())
}
