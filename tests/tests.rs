//! One test binary: libtorch is linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod a_longest;
mod chaos;
mod cli;
mod daemon;
mod docs;
mod engine;
mod faults;
mod helper;
mod history;
mod load;
mod monitoring;
mod package;
mod tidy;
