//! Looks at the clocks every second: records and reports a set wall clock, and corrects the waits that depend on it.

use super::retry::{RETRY_OBSTACLE, later};
use crate::codes::EventKind;
use crate::domain::ClockJump;
use crate::history::{HistoryError, StoredClock};
use crate::platform::clock::LineClock;
use crate::platform::crash_point;
use crate::telemetry::{Event, Telemetry};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How often the clocks are compared.
pub const LOOK: Duration = Duration::from_secs(1);
/// How often the daemon records that it runs; this much time is not counted when the computer dies.
const STAMP: Duration = Duration::from_secs(30);
/// At most one event in this time: a clock that is set every second is one problem.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Looks after a jump that correct rows: a task that read the clock before the jump may still write one.
const MENDINGS: u32 = 2;

/// Watches the clock of the line.
pub struct ClockWatch {
    /// The clock.
    pub clock: Arc<LineClock>,
    /// Where the clock is recorded, and the waits of rows that go by it.
    pub stored: StoredClock,
    /// Where events go.
    pub telemetry: Telemetry,
    /// How long the daemon waits for an image that is not complete.
    pub give_up_after: Duration,
    /// Rung when images may continue.
    pub wake: Arc<Notify>,
}

impl ClockWatch {
    /// Runs before a line starts: shortens waits that became too long because the clock was set.
    pub async fn settle(&self) {
        if let Some(shows) = self.clock.wrong() {
            let detail = format!(
                "the wall clock shows {shows:.0}, which cannot be; images are inspected, and their rows say that time; set the clock, or \
                 have NTP (chronyd) do so, and replace the computer's battery"
            );
            self.telemetry.events.tell(Event::new(EventKind::ClockWrong, detail)).await;
        }
        if let Err(error) = self.mend().await {
            tracing::warn!(%error, "images that wait by a clock that was set are not looked for; they wait until their time comes");
        }
    }

    /// Runs until it is aborted.
    pub async fn run(self) {
        let mut seen = Seen { watch: self, stamped: None, told: None, untold: Vec::new(), mendings: 0 };
        loop {
            tokio::time::sleep(LOOK).await;
            if let Err(error) = seen.look().await {
                tracing::debug!(%error, "the clock is not recorded yet");
            }
        }
    }

    async fn mend(&self) -> Result<u64, HistoryError> {
        self.stored.mend_waits(later(RETRY_OBSTACLE), later(self.give_up_after)).await
    }
}

/// The clock as this task has seen it so far.
struct Seen {
    watch: ClockWatch,
    stamped: Option<Instant>,
    told: Option<Instant>,
    untold: Vec<ClockJump>,
    /// Corrections left to do.
    mendings: u32,
}

impl Seen {
    async fn look(&mut self) -> Result<(), HistoryError> {
        let ClockWatch { clock, stored, telemetry, wake, .. } = &self.watch;
        let unsaved = clock.unsaved();
        if let Some(stamp) = &unsaved.stamp
            && (!unsaved.jumps.is_empty() || self.stamped.is_none_or(|at| at.elapsed() >= STAMP))
        {
            if !unsaved.jumps.is_empty() {
                self.mendings = MENDINGS;
            }
            stored.record_clock(&unsaved.jumps, stamp).await?;
            crash_point::reach("clock_recorded");
            clock.saved(unsaved.jumps.len());
            self.untold.extend(&unsaved.jumps);
            self.stamped = Some(Instant::now());
        }
        if self.mendings > 0 {
            let mended = self.watch.mend().await?;
            self.mendings -= 1;
            if mended > 0 {
                tracing::info!(images = mended, "images that waited by the clock of before wait no longer");
                wake.notify_one();
            }
        }
        if self.told.is_none_or(|at| at.elapsed() >= TELL_EVERY)
            && let Some(text) = text(&std::mem::take(&mut self.untold))
        {
            self.told = Some(Instant::now());
            telemetry.events.tell(Event::new(EventKind::ClockJumped, text)).await;
        }
        Ok(())
    }
}

/// The event's text about the jumps; `None` without jumps.
fn text(jumps: &[ClockJump]) -> Option<String> {
    let (last, others) = jumps.split_last()?;
    let ClockJump { before, after, shift_ms, witnessed } = last;
    let mut text = if *witnessed {
        format!(
            "the wall clock was set from {before:.0} to {after:.0} ({:+} s); ages and waits do not count that",
            (shift_ms + 500).div_euclid(1000)
        )
    } else if *shift_ms < 0 {
        format!("the computer was started, and the wall clock shows {after:.0}, before {before:.0}, when the daemon last ran")
    } else {
        format!(
            "the computer was started, and the wall clock shows {after:.0}; the daemon last ran at {before:.0}, too long ago to be believed"
        )
    };
    if !witnessed {
        text += "; how much time has passed is not known: nothing that was decided before is deleted on account of it, nor acted on";
    }
    if !others.is_empty() {
        text += &format!("; {} jumps before that, see clock_jumps", others.len());
    }
    Some(text)
}
