//! The files that `mqtt:` names: the password, and the certificates that the broker is checked against.

use crate::config::MqttConfig;
use crate::platform::files;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// No password is longer; a larger file is the wrong one.
const LONGEST_PASSWORD: u64 = 64 * 1024;

/// A file of the section that cannot be used, with its key.
#[derive(Debug, thiserror::Error)]
pub enum BrokerFileError {
    /// `mqtt.password_file`
    #[error("mqtt.password_file: {0}")]
    Password(#[from] PasswordError),
    /// `mqtt.ca`
    #[error("mqtt.ca: {0}")]
    Certificates(#[from] CertificatesError),
    /// The system trusts nobody, and the section names no certificates.
    #[error("the system has no certificates to trust; name those of the broker's issuer in mqtt.ca")]
    NoneOfTheSystem,
}

/// Why a file gives no password. The message never shows any of it.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// It cannot be read.
    #[error("cannot read {}: {source}; give it to the service's user", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// It is a folder, a device, or too large.
    #[error("{} is no file with a password in its first line", .0.display())]
    NoPassword(PathBuf),
    /// Its mode.
    #[error("everybody has access to {}; take it away with `chmod o= {}`", .0.display(), files::shell_word(.0))]
    Open(PathBuf),
    /// There is nothing in its first line.
    #[error("the first line of {} is empty; write the password there", .0.display())]
    Empty(PathBuf),
}

/// Why a file gives no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// It cannot be read.
    #[error("cannot read {}: {source}; it must be a PEM file that the service's user can read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error of the system, or the place that is not PEM.
        source: pem::Error,
    },
    /// It has none.
    #[error("{} has no certificate (PEM, `-----BEGIN CERTIFICATE-----`)", .0.display())]
    Missing(PathBuf),
}

/// The problems on this machine of the files that the section names, by key.
pub fn file_problems(config: &MqttConfig) -> Vec<(&'static str, String)> {
    let password = config.password_file.as_deref().and_then(|file| read_password(file).err());
    let ca = config.ca.as_deref().and_then(|file| read_certificates(file).err());
    let password = password.map(|error| ("mqtt.password_file", error.to_string()));
    password.into_iter().chain(ca.map(|error| ("mqtt.ca", error.to_string()))).collect()
}

/// The first line of the password file.
///
/// # Errors
/// A file that cannot be read, that everybody may read, or that holds no password.
pub(super) fn read_password(file: &Path) -> Result<String, PasswordError> {
    let unreadable = |source| PasswordError::Unreadable { file: file.to_owned(), source };
    let open = std::fs::File::open(file).map_err(unreadable)?;
    let meta = open.metadata().map_err(unreadable)?;
    if !meta.is_file() || meta.len() > LONGEST_PASSWORD {
        return Err(PasswordError::NoPassword(file.to_owned()));
    }
    if meta.permissions().mode() & 0o007 != 0 {
        return Err(PasswordError::Open(file.to_owned()));
    }
    let mut text = String::new();
    open.take(LONGEST_PASSWORD).read_to_string(&mut text).map_err(unreadable)?;
    let first = text.lines().next().filter(|password| !password.is_empty());
    first.map(str::to_owned).ok_or_else(|| PasswordError::Empty(file.to_owned()))
}

/// The certificates in a PEM file, at least one.
///
/// # Errors
/// A file that cannot be read or has no certificate.
pub(super) fn read_certificates(file: &Path) -> Result<RootCertStore, CertificatesError> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|source| CertificatesError::Unreadable { file: file.to_owned(), source })?;
    roots_of(certificates).ok_or_else(|| CertificatesError::Missing(file.to_owned()))
}

/// The certificates that the system trusts.
///
/// # Errors
/// When there are none.
pub(super) fn system_certificates() -> Result<RootCertStore, BrokerFileError> {
    roots_of(rustls_native_certs::load_native_certs().certs).ok_or(BrokerFileError::NoneOfTheSystem)
}

/// `None` when none of them can be read.
fn roots_of(certificates: Vec<CertificateDer<'static>>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (read, _) = roots.add_parsable_certificates(certificates);
    (read > 0).then_some(roots)
}
