//! What would hinder the line before it starts: folders, permissions, space and limits of the machine, and the programs and files that act
//! on defects; who else may change them; and how it looks from inside the service.

pub mod acting;
pub mod as_service;
pub mod machine;
pub mod rights;

pub use machine::{CheckFinding, FindingLevel};
