//! Why one file was not decoded.

use crate::codes::ReasonCode;
use crate::imaging::error::ImageError;
use std::path::Path;

/// Why one file was not decoded, before its path is known.
#[derive(Debug)]
pub(super) enum Fault {
    /// Cut, holed or damaged: somebody may still be writing it.
    Incomplete(String),
    /// Whole, but of a kind that this program does not inspect.
    Rejected(ReasonCode, String),
}

impl Fault {
    /// An image of a kind that the program does not read.
    pub(super) fn unsupported(reason: impl Into<String>) -> Fault {
        Fault::Rejected(ReasonCode::UnsupportedFormat, reason.into())
    }

    /// Bits per sample that do not fit the product's `input.bit_depth`.
    pub(super) fn wrong_depth(reason: impl Into<String>) -> Fault {
        Fault::Rejected(ReasonCode::WrongDepth, reason.into())
    }

    pub(super) fn of(self, path: &Path) -> ImageError {
        match self {
            Fault::Incomplete(reason) => ImageError::Incomplete { path: path.to_owned(), reason },
            Fault::Rejected(code, reason) => ImageError::rejected(path, code, reason),
        }
    }
}
