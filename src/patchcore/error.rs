//! What can go wrong in the engine.

use crate::domain::Backbone;
use std::path::PathBuf;
use tch::TchError;

/// A failure of the engine. None of them says anything about an image being good or not.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No weights file for the backbone.
    #[error("no weights for {backbone}: {reason}")]
    WeightsMissing {
        /// The network that needs them.
        backbone: Backbone,
        /// Where was looked, and where to get the file.
        reason: String,
    },
    /// The weights file is readable but belongs to another network, or is damaged.
    #[error("{path} does not fit {backbone}: {reason}")]
    WeightsMismatch {
        /// The file.
        path: PathBuf,
        /// The network it was to be loaded into.
        backbone: Backbone,
        /// The first tensors that are missing, misshaped or unknown.
        reason: String,
    },
    /// A `.pt`, `.pth` or `.safetensors` file is not what it should be.
    #[error("cannot use tensor file {path}: {reason}")]
    TensorFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A file of a bank folder is not what it should be.
    #[error("cannot use bank file {path}: {reason}")]
    BankFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The configured device is not there.
    #[error("device {device} is not available: {reason}")]
    Device {
        /// As configured, e.g. `cuda:1`.
        device: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The network was handed something that is not an image.
    #[error("cannot extract features: {0}")]
    Image(String),
    /// libtorch failed, most often for want of memory.
    #[error("{what} failed in libtorch: {source}")]
    Torch {
        /// What was being done.
        what: &'static str,
        /// What libtorch said.
        source: TchError,
    },
    /// A bank was to be used with another network than it was built with.
    #[error("bank and network do not belong together: {0}")]
    BankMismatch(String),
    /// A bank could not be built.
    #[error("cannot build the bank: {0}")]
    Build(String),
}

/// Names what was being done when libtorch failed.
pub(crate) trait TorchContext<T> {
    /// Turns the error into [`EngineError::Torch`].
    fn doing(self, what: &'static str) -> Result<T, EngineError>;
}

impl<T> TorchContext<T> for Result<T, TchError> {
    fn doing(self, what: &'static str) -> Result<T, EngineError> {
        self.map_err(|error| EngineError::Torch { what, source: brief(error) })
    }
}

/// The error without the C++ stack trace that libtorch puts under its message.
pub(crate) fn brief(error: TchError) -> TchError {
    match error {
        TchError::Torch(text) => TchError::Torch(text.split("\nException raised from").next().unwrap_or_default().to_owned()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_libtorch_is_told_in_one_line() {
        let one = tch::Tensor::f_from_slice(&[1.0_f32, 2.0]).unwrap();
        let text = one.f_view([3]).doing("viewing").unwrap_err().to_string();
        assert!(text.starts_with("viewing failed in libtorch: ") && text.contains("shape") && text.lines().count() == 1, "{text}");
    }
}
