//! What is wrong with a folder, a bank or a broker.

use std::fmt;
use std::path::{Path, PathBuf};

/// The subject of a trouble.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A drop folder, an output folder or a bank folder.
    Folder(PathBuf),
    /// The MQTT broker, as `host:port`.
    Broker(String),
}

impl From<&Path> for Place {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Broker(address) => f.write_str(address),
        }
    }
}

/// What is wrong with a drop folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FolderTrouble {
    /// It does not exist, or is another one than before.
    Lost,
    /// The system does not report all of its new files.
    NotWatched,
    /// It does not answer.
    NoAnswer,
}

/// What is wrong with a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BankTrouble {
    /// Its files are not the recorded ones; the bank in memory still decides images.
    Changed,
    /// It cannot be loaded, or nobody can tell now which bank is in use: images wait.
    Unusable,
}

/// Why a folder refuses writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriteTrouble {
    /// Its disk is full, or a quota is used up.
    DiskFull,
    /// It cannot be written for another reason, which affects every image.
    NotWritable,
}

/// What is wrong with a [`Place`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// The trouble of a drop folder.
    Folder(FolderTrouble),
    /// The trouble of the bank in a bank folder.
    Bank(BankTrouble),
    /// The broker does not take messages.
    BrokerAway,
}

impl Trouble {
    /// The predicate of a sentence about the place: `is lost`.
    pub fn predicate(self) -> &'static str {
        match self {
            Self::Folder(FolderTrouble::Lost) => "is lost",
            Self::Folder(FolderTrouble::NotWatched) => "is not all watched",
            Self::Folder(FolderTrouble::NoAnswer) => "does not answer",
            Self::Bank(BankTrouble::Changed) => "has bank files that were changed",
            Self::Bank(BankTrouble::Unusable) => "has no bank that can be used",
            Self::BrokerAway => "is away",
        }
    }
}
