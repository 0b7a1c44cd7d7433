//! The history of a line in SQLite: the queue of arrived images, the decisions on them, the banks, and the events.
//!
//! [`HistoryStore`] is what is opened. It hands out a small handle for each concern, and a task gets the handles that it needs, no more.
//! The handles have all SQL of the program; [`crate::database`] has the file and the connections. The schema is in `migrations/`.
//!
//! Invariants, each with a test:
//! - arrived = done + failed + pending, after any sequence of operations and any crash between two of them;
//! - an arrival has one row, however often it is reported, moved or touched; `sightings.rs` says what an arrival is;
//! - a row that is `done` changes only once more, to say when its files were deleted; a row that is `failed` changes only when somebody
//!   requeues it;
//! - a result counts only for the file it was made from: when a file changes during an attempt, the attempt does not count and the row
//!   stays pending.

mod account;
mod actions;
mod ages;
mod arrivals;
mod bank_requests;
mod bank_rows;
mod bank_work;
mod banks;
mod calendar;
mod clock;
mod decisions;
mod events;
mod held_up;
mod in_hand;
mod outbox;
mod profiles;
mod queue;
mod recent;
mod record;
mod report;
mod requeue;
mod retention;
mod rows;
mod sightings;
mod store;

pub use crate::database::{HistoryError, HistoryErrorKind};
pub use crate::domain::{
    ActionEnd, Counts, Defect, Distance, Evidence, Finished, FollowUp, InspectionResult, Kin, PendingImage, ProductCounts, Recorded,
    RequeueFilter, Requeued,
};
pub use account::{DecidingBank, InspectionAccount};
pub use actions::{Actions, GivenUp};
pub use arrivals::Arrivals;
pub use bank_requests::{BankRequest, BankRequestKind, BankRequests, RequestEnd};
pub use bank_rows::{ActiveBankRow, EarlierBank, NewBank, RecordedFiles};
pub use bank_work::BankWorkRow;
pub use banks::{Banks, Edited};
pub use calendar::Calendar;
pub use clock::StoredClock;
pub use events::{EventRow, RecordedEvents};
pub use in_hand::{Aftermath, DEATHS, Killer};
pub use outbox::{Message, Outbox};
pub use profiles::{ProfileChange, Profiles};
pub use queue::{InspectionQueue, NO_BANK};
pub use record::{
    BankInUse, EndCounts, LastDecision, LineRecord, LineRecords, OldestPending, PendingOf, ProductRecord, RecordDetails, Scope,
};
pub use report::InspectionLists;
pub use requeue::FailedImages;
pub use retention::{DeletableFiles, KeptCursor, KeptFiles, KeptOutput};
pub use rows::{Arrival, ArrivalState, InspectionFilter, InspectionRow};
pub use sightings::WINDOW;
pub use store::HistoryStore;
