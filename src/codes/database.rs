//! Trouble with the database as a file: entries of [`super::EventKind`].

use super::{Entry, Level};

/// `database_replaced`
pub(super) const REPLACED: Entry = Entry {
    code: "database_replaced",
    level: Level::Warn,
    means: "The daemon started with another database than the one that it worked with before: the file was moved, removed, or replaced by an older copy. Banks in use are taken from the bank folders, and images that this history does not know are inspected again where they still are.",
    look: "The event says which image the earlier history ended with, and with which this one does. A file named `history.db-wal.kept-…` holds the newest rows of the database that was moved.",
    run: &["ls -la /var/lib/patchcored"],
    act: "Nothing, if that was meant. To have the earlier history back, stop the daemon, put its file back under the name in the configuration, the kept log beside it as `history.db-wal`, and start the daemon.",
};
