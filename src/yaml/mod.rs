//! A YAML text and what is wrong with it: each problem with its key, line and column, in words for the engineer at the line.
//!
//! It knows nothing of what the keys mean; [`crate::config`] does.

pub mod positions;
pub mod problems;
pub mod reader;
pub mod syntax;
pub mod wording;
