//! How a command ends with an error: the code in front of its message, and the exit code.

use crate::backup::BackupError;
use crate::banks::BankFolderError;
use crate::banks::RollbackError;
use crate::codes::ErrorCode;
use crate::config::Config;
use crate::config::ConfigError;
use crate::daemon::{EX_CONFIG, FatalError};
use crate::database::{HistoryError, HistoryErrorKind, LockError};
use crate::domain::error_text;
use crate::domain::spelling::nearest;
use crate::imaging::ImageError;
use crate::patchcore::EngineError;
use crate::routing::rules::RoutingProblems;
use std::path::Path;

/// A wrong combination of arguments: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}; see --help")]
pub struct UsageError(pub String);

/// An error whose code no type tells.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Coded {
    code: ErrorCode,
    message: String,
}

impl Coded {
    /// With its message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The configuration has no product of this name.
    pub fn unknown_product(path: &Path, config: &Config, name: &str) -> Self {
        let names: Vec<&str> = config.products.iter().map(|product| product.name.as_str()).collect();
        Self::no_product(path, &names, name)
    }

    /// Neither the configuration nor the history, whichever `path` is, has a product of this name, but those of `names`.
    pub fn no_product(path: &Path, names: &[&str], name: &str) -> Self {
        let there_are = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? There are"),
            None => "there are".to_owned(),
        };
        Self::new(ErrorCode::UnknownProduct, format!("{}: has no product `{name}`; {there_are}: {}", path.display(), names.join(", ")))
    }
}

/// The message as it is shown: `error[bad_config]: …`.
pub(super) fn shown(error: &anyhow::Error) -> String {
    format!("error[{}]: {}", code(error), error_text(error))
}

/// The code of an error: that of its innermost cause that has one.
fn code(error: &anyhow::Error) -> &'static str {
    error.chain().filter_map(code_of).last().unwrap_or(ErrorCode::Failed.as_str())
}

/// True of what is wrong with a configuration file.
fn is_of_configuration(cause: &(dyn std::error::Error + 'static)) -> bool {
    let of_backup = matches!(cause.downcast_ref(), Some(BackupError::Config(_)));
    of_backup || cause.is::<ConfigError>() || cause.is::<RoutingProblems>()
}

fn code_of(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let code = if let Some(error) = cause.downcast_ref::<FatalError>() {
        match error {
            FatalError::Config(_) => ErrorCode::BadConfig,
            FatalError::History(_) => ErrorCode::DatabaseTrouble,
            FatalError::Worker { .. } => ErrorCode::WorkerEnded,
        }
    } else if is_of_configuration(cause) {
        ErrorCode::BadConfig
    } else if let Some(error) = cause.downcast_ref::<HistoryError>() {
        of_history(error.kind)
    } else if let Some(error) = cause.downcast_ref::<EngineError>() {
        of_engine(error)
    } else if let Some(error) = cause.downcast_ref::<ImageError>() {
        return Some(error.reason_code().as_str());
    } else if let Some(error) = cause.downcast_ref::<Coded>() {
        error.code
    } else if let Some(error) = cause.downcast_ref::<LockError>() {
        of_lock(error)
    } else if let Some(error) = cause.downcast_ref::<BackupError>() {
        of_backup(error)
    } else if let Some(error) = cause.downcast_ref::<RollbackError>() {
        match error {
            RollbackError::UnknownVersion { .. } => ErrorCode::UnknownVersion,
            RollbackError::NoEarlierVersion { .. } => ErrorCode::NoEarlierVersion,
            RollbackError::Damaged { .. } => ErrorCode::VersionDamaged,
            RollbackError::Folder(error) => of_bank_folder(error),
            RollbackError::History(error) => of_history(error.kind),
            RollbackError::Ended(_) | RollbackError::Other(_) => ErrorCode::Failed,
        }
    } else if let Some(error) = cause.downcast_ref::<BankFolderError>() {
        of_bank_folder(error)
    } else if cause.is::<UsageError>() {
        ErrorCode::Usage
    } else {
        return None;
    };
    Some(code.as_str())
}

fn of_history(kind: HistoryErrorKind) -> ErrorCode {
    match kind {
        HistoryErrorKind::DiskFull => ErrorCode::DatabaseFull,
        HistoryErrorKind::Io => ErrorCode::DatabaseIo,
        HistoryErrorKind::ReadOnly => ErrorCode::DatabaseReadOnly,
        HistoryErrorKind::CannotOpen => ErrorCode::DatabaseNotOpened,
        HistoryErrorKind::Corrupt => ErrorCode::DatabaseDamaged,
        HistoryErrorKind::Busy => ErrorCode::DatabaseBusy,
        HistoryErrorKind::NewerSchema => ErrorCode::DatabaseNewer,
        HistoryErrorKind::OlderSchema => ErrorCode::DatabaseOlder,
        HistoryErrorKind::NotAHistory => ErrorCode::NotAHistory,
        HistoryErrorKind::Missing => ErrorCode::DatabaseMissing,
        HistoryErrorKind::Moved => ErrorCode::DatabaseMoved,
        HistoryErrorKind::Other => ErrorCode::DatabaseTrouble,
    }
}

fn of_lock(error: &LockError) -> ErrorCode {
    match error {
        LockError::InUse { .. } => ErrorCode::DatabaseInUse,
        LockError::Unusable { error, .. } if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => ErrorCode::DatabaseReadOnly,
        LockError::Unusable { .. } => ErrorCode::DatabaseNotOpened,
    }
}

fn of_backup(error: &BackupError) -> ErrorCode {
    match error {
        BackupError::Folder { .. } => ErrorCode::BackupFolder,
        BackupError::NotABackup { .. } => ErrorCode::NotABackup,
        BackupError::Damaged { .. } | BackupError::Changed { .. } => ErrorCode::BackupDamaged,
        BackupError::InTheWay(_) => ErrorCode::RestoreInTheWay,
        BackupError::Read { .. } => ErrorCode::FileNotRead,
        BackupError::Write { .. } => ErrorCode::FileNotWritten,
        BackupError::Config(_) => ErrorCode::BadConfig,
        BackupError::History(error) => of_history(error.kind),
        BackupError::Lock(error) => of_lock(error),
        BackupError::Bank { error, .. } => of_bank_folder(error),
    }
}

fn of_bank_folder(error: &BankFolderError) -> ErrorCode {
    match error {
        BankFolderError::NoLinks { .. } => ErrorCode::NoSymbolicLinks,
        BankFolderError::Failed { .. } | BankFolderError::NoNumber { .. } => ErrorCode::BankFolder,
    }
}

fn of_engine(error: &EngineError) -> ErrorCode {
    match error {
        EngineError::WeightsMissing { .. } => ErrorCode::WeightsMissing,
        EngineError::WeightsMismatch { .. } => ErrorCode::WeightsMismatch,
        EngineError::TensorFile { .. } => ErrorCode::TensorFile,
        EngineError::BankFile { .. } => ErrorCode::BankFile,
        EngineError::Read { .. } => ErrorCode::FileNotRead,
        EngineError::Write { .. } => ErrorCode::FileNotWritten,
        EngineError::Device { .. } => ErrorCode::DeviceMissing,
        EngineError::Image(_) | EngineError::Torch { .. } => ErrorCode::Engine,
        EngineError::BankMismatch(_) => ErrorCode::BankMismatch,
        EngineError::Build(_) => ErrorCode::BuildRefused,
    }
}

/// 78 for a bad configuration, 2 for wrong usage, else 1.
pub(super) fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(is_of_configuration) {
        return EX_CONFIG;
    }
    if let Some(fatal) = error.downcast_ref::<FatalError>() {
        return fatal.exit_code();
    }
    let usage = |error: &Coded| {
        matches!(error.code, ErrorCode::Usage | ErrorCode::UnknownProduct | ErrorCode::UnknownCode | ErrorCode::UnknownInspection)
    };
    if error.is::<UsageError>() || error.downcast_ref().is_some_and(usage) { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_innermost_cause_that_has_a_code_gives_it() {
        let shown = |error: anyhow::Error| super::shown(&error);
        assert_eq!(shown(FatalError::Config("no products".into()).into()), "error[bad_config]: no products");
        assert_eq!(shown(UsageError("say which".into()).into()), "error[usage]: say which; see --help");
        assert_eq!(shown(anyhow::anyhow!("something")), "error[failed]: something");
        let busy = anyhow::Error::from(LockError::InUse { database: "/h.db".into(), holder: "7".into() });
        assert!(shown(FatalError::History(busy).into()).starts_with("error[database_in_use]: history database: /h.db: another"));
        let unreadable = EngineError::Read { path: "/w.pth".into(), source: std::io::Error::other("the disk is gone") };
        assert_eq!(shown(unreadable.into()), "error[file_not_read]: cannot read /w.pth: the disk is gone");
        let missing = EngineError::BankFile { path: "/b".into(), reason: "cut".into() };
        let error = Err::<(), _>(missing).context("the bank").unwrap_err();
        assert_eq!(shown(error), "error[bank_file]: the bank: cannot use bank file /b: cut");
    }
}
