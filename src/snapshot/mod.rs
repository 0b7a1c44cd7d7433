//! How the line stands at one moment: one snapshot, from which everything is rendered that describes the line. These are `/metrics` and
//! `/healthz` ([`crate::monitoring`]), the sentence for systemd and the log ([`sentence`]), and `patchcored status`.
//!
//! The space on disks is no part of it: the system says that and not the line, and each view asks for other folders.

mod bank_state;
mod folder_state;
mod line;
mod sentence;

pub use folder_state::Since;
pub use line::{BankTroubleStanding, DropFolderStanding, LineSnapshot, LineView, NotRunning, Unreadable, Witness, event_kinds, take};
pub use sentence::sentence;
