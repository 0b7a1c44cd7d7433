//! What would hinder the line before it starts: folders, permissions, space and limits of the machine, and the programs and files that act
//! on defects.

pub mod acting;
pub mod machine;

pub use machine::{CheckFinding, FindingLevel};
