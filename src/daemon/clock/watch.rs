//! Looks at the clocks every second: writes down and tells when the wall clock was set, and mends what waits by it.

use super::super::Line;
use super::super::inspector::{RETRY_OBSTACLE, later};
use crate::codes::EventKind;
use crate::crash_point;
use crate::history::{ClockJump, HistoryError};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the clocks are compared.
const LOOK: Duration = Duration::from_secs(1);
/// How often the history is told that the daemon runs: as much time is not counted when the computer dies.
const STAMP: Duration = Duration::from_secs(30);
/// At most one event in this time: a clock that is set every second is one trouble.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Looks after a jump at which rows are mended: one may just be written by who read the clock before.
const MENDINGS: u32 = 2;

/// Runs until it is aborted.
pub async fn run(line: Arc<Line>) {
    let mut watch = Watch { line, stamped: None, told: None, untold: Vec::new(), mendings: 0 };
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(error) = watch.look().await {
            tracing::debug!(%error, "the clock is not recorded yet");
        }
    }
}

/// Before a line starts: what was written before the clock was set waits no longer than it should.
pub async fn settle(line: &Line) {
    if let Some(shows) = line.clock.wrong() {
        let detail = format!(
            "the wall clock shows {shows:.0}, which cannot be; images are inspected, and their rows say that time; set the clock, or have \
             NTP (chronyd) do so, and replace the computer's battery"
        );
        line.event(EventKind::ClockWrong, None, &detail).await;
    }
    if let Err(error) = mend(line).await {
        tracing::warn!(%error, "images that wait by a clock that was set are not looked for; they wait until their time comes");
    }
}

struct Watch {
    line: Arc<Line>,
    stamped: Option<Instant>,
    told: Option<Instant>,
    untold: Vec<ClockJump>,
    /// Left to do.
    mendings: u32,
}

impl Watch {
    async fn look(&mut self) -> Result<(), HistoryError> {
        let clock = &self.line.clock;
        let unsaved = clock.unsaved();
        if let Some(stamp) = &unsaved.stamp
            && (!unsaved.jumps.is_empty() || self.stamped.is_none_or(|at| at.elapsed() >= STAMP))
        {
            if !unsaved.jumps.is_empty() {
                self.mendings = MENDINGS;
            }
            self.line.store.record_clock(&unsaved.jumps, stamp).await?;
            crash_point::reach("clock_recorded");
            clock.saved(unsaved.jumps.len());
            self.untold.extend(&unsaved.jumps);
            self.stamped = Some(Instant::now());
        }
        if self.mendings > 0 {
            let mended = mend(&self.line).await?;
            self.mendings -= 1;
            if mended > 0 {
                tracing::info!(images = mended, "images that waited by the clock of before wait no longer");
                self.line.wake.notify_one();
            }
        }
        if self.told.is_none_or(|at| at.elapsed() >= TELL_EVERY)
            && let Some(text) = text(&std::mem::take(&mut self.untold))
        {
            self.told = Some(Instant::now());
            self.line.event(EventKind::ClockJumped, None, &text).await;
        }
        Ok(())
    }
}

async fn mend(line: &Line) -> Result<u64, HistoryError> {
    line.store.mend_waits(later(RETRY_OBSTACLE), later(line.config.intake.give_up_after)).await
}

/// What is told of jumps; `None` when there were none.
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
