//! The codes of a wall clock that is wrong or was set.

use super::Entry;
use super::Level::{Error, Warn};

/// The wall clock was set.
pub const JUMPED: Entry = Entry {
    code: "clock_jumped",
    level: Warn,
    means: "The wall clock of the computer was set, forward or back, while the daemon ran or was stopped. Nothing is lost: files are deleted and defects acted on by the time that has really passed, and images that waited are tried at once. Rows keep the times that the clock showed, so that times of before and after do not compare.",
    look: "The event has both times; the table `clock_jumps` has every jump.",
    run: &[
        "chronyc tracking",
        "sqlite3 -readonly -header -column /var/lib/patchcored/history.db 'SELECT * FROM clock_jumps ORDER BY id DESC LIMIT 5'",
    ],
    act: "Once after a start of the computer: nothing, but replace its battery if it shows the year 2000 then. Again and again: find out which two programs or people set the clock.",
};

/// The wall clock cannot be right.
pub const WRONG: Entry = Entry {
    code: "clock_wrong",
    level: Error,
    means: "The wall clock of the computer shows a time before this program was made, most often because its battery is empty. The line runs, and nothing is deleted that should not be; but rows say that time, and reports by date do not find them.",
    look: "What the clock shows, and whether NTP reaches its server.",
    run: &["date", "chronyc tracking"],
    act: "Set the clock, or let NTP (chronyd) do so, and replace the battery. `clock_jumped` tells when that is done.",
};
