//! `patchcored`: visual inspection of production lines with PatchCore memory banks.

pub mod banks;
pub mod cli;
pub mod codes;
pub mod config;
pub mod crash_point;
pub mod daemon;
pub mod demo;
pub mod error;
pub mod files;
pub mod history;
pub mod imaging;
pub mod inspection;
pub mod intake;
pub mod patchcore;
pub mod routing;
