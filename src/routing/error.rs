//! Why a rule cannot be used.

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pattern `{pattern}` for file names: {reason}")]
pub struct RoutingError {
    /// The pattern as given.
    pub pattern: String,
    /// The problem.
    pub reason: String,
}
