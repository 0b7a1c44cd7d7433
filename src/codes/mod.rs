//! Every stable code of the program, with its meaning and remedy: what happened ([`EventKind`]), why an image fails or waits
//! ([`ReasonCode`]), and why a command ends with an error ([`ErrorCode`]).
//!
//! A code is a word in snake_case. People count by it, search for it and set alarms on it. So a released code never gets another name or
//! another meaning. A code that is used in two or three of these places means the same trouble in each.
//!
//! To add a code, add a variant with its [`Entry`] to its list, and make docs/troubleshooting.md again with `UPDATE_DOCS=1 make test`.

mod bank_events;
mod clock;
mod database;
mod errors;
mod events;
mod page;
mod reasons;
mod waiting;

pub use errors::ErrorCode;
pub use events::EventKind;
pub use page::{explain, list, markdown};
pub use reasons::{Reason, ReasonCode};

/// How much attention a code needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Worth looking at.
    Warn,
    /// Something does not work.
    Error,
}

impl Level {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// The text about one code, for people who have never seen the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The word.
    pub code: &'static str,
    /// How bad it is. For a reason: `error` when images fail, `warn` or `info` when they wait and the daemon tries again by itself.
    pub level: Level,
    /// What it means, in a sentence or two.
    pub means: &'static str,
    /// What to look at; empty when there is nothing to look at.
    pub look: &'static str,
    /// Commands that show it, ready to type.
    pub run: &'static [&'static str],
    /// What to do; empty when there is nothing to do.
    pub act: &'static str,
}

/// An enum of codes, each with its entry.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($variant:ident => $entry:expr,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum $name { $($variant),* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The text about this code.
            pub const fn entry(self) -> &'static $crate::codes::Entry {
                match self { $($name::$variant => const { &$entry }),* }
            }

            /// The code.
            pub const fn as_str(self) -> &'static str {
                self.entry().code
            }
        }
    };
}
use codes;

#[cfg(test)]
mod tests;
