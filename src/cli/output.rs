//! What commands write.

use crate::domain::printable::printable_lines;
use std::io::Write;

/// Writes a line to stderr; a closed stderr is nobody's loss.
pub(in crate::cli) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", printable_lines(text));
}

/// Writes to stdout.
///
/// # Errors
/// When stdout is closed or full.
pub(in crate::cli) fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
