//! How many images were decided recently.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far the rate looks back: long enough to show a line of one part a minute, short enough to show a standstill.
const WINDOW: Duration = Duration::from_secs(300);
/// Images within this time are counted together, which limits the memory.
const SLICE: Duration = Duration::from_secs(5);

/// Images per minute over the last five minutes.
#[derive(Debug)]
pub struct Rate {
    begin: Instant,
    /// When each slice began, and its images; the newest last.
    slices: VecDeque<(Instant, u32)>,
}

impl Rate {
    /// Nothing decided yet.
    pub fn since(begin: Instant) -> Self {
        Self { begin, slices: VecDeque::new() }
    }

    /// One image was decided.
    pub fn count(&mut self, now: Instant) {
        match self.slices.back_mut() {
            Some((begin, images)) if now.saturating_duration_since(*begin) < SLICE => *images = images.saturating_add(1),
            _ => self.slices.push_back((now, 1)),
        }
        self.slices.retain(|(begin, _)| is_recent(*begin, now));
    }

    /// Images per minute. For a line that has run for less than the window, that time counts, but at least a minute.
    pub fn per_minute(&self, now: Instant) -> f64 {
        let images: u32 = self.slices.iter().filter(|(begin, _)| is_recent(*begin, now)).map(|(_, images)| images).sum();
        let time = now.saturating_duration_since(self.begin).clamp(Duration::from_secs(60), WINDOW);
        f64::from(images) * 60.0 / time.as_secs_f64()
    }
}

fn is_recent(begin: Instant, now: Instant) -> bool {
    now.saturating_duration_since(begin) < WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_the_line_and_forgets() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut rate = Rate::since(begin);
        assert_eq!(rate.per_minute(at(0)), 0.0);
        for _ in 0..3 {
            rate.count(at(1));
        }
        assert_eq!(rate.per_minute(at(2)), 3.0, "not 90: two seconds say nothing of a minute");
        for second in 60..660 {
            rate.count(at(second));
            rate.count(at(second));
        }
        assert!((rate.per_minute(at(660)) - 120.0).abs() < 3.0, "{}", rate.per_minute(at(660)));
        assert!(rate.slices.len() <= 61);
        assert_eq!(rate.per_minute(at(960)), 0.0, "the line stands still");
    }
}
