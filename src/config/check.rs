//! Raw → Config: collects every problem with its key path and remedy.

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where: `products[0].build.shorter`.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Every problem of a configuration file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblems(pub Vec<ConfigProblem>);
