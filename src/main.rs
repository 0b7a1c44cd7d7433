//! The `patchcored` binary.
fn main() {}
