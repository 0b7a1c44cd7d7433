//! How a command ends.

use std::io::Write;

/// The exit code of a command that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// All is well.
    pub const SUCCESS: Self = Self(0);
    /// What was asked for is not so, or not all was done.
    pub const FAILURE: Self = Self(1);

    /// Ends the process. The destructors of libraries do not run. Those of libtorch alone take about 50 ms; and a thread that is still in
    /// libtorch, or in a hung system call, would find the libraries gone and crash.
    pub fn end(self) -> ! {
        // Commands that write find out themselves when stdout is closed or full.
        let _ = std::io::stdout().lock().flush();
        signal_hook::low_level::exit(self.0.into())
    }
}
