//! The best few bank rows of one patch.

/// Rows remembered per patch. Rounding can only hide the nearest row behind rows that are just as near; one rival is rare, and
/// four are enough for a row that came into the bank several times.
const KEPT: usize = 4;

/// Rows by falling score; of equal scores the lower row comes first.
#[derive(Clone, Copy)]
pub(super) struct Candidates {
    best: [(f32, u32); KEPT],
    /// A row whose score is this far below the best cannot be the nearest.
    margin: f32,
}

impl Candidates {
    /// None yet.
    pub fn none(margin: f32) -> Self {
        Self { best: [(f32::NEG_INFINITY, 0); KEPT], margin }
    }

    /// Only a score above this one changes anything.
    #[inline(always)]
    pub fn bar(&self) -> f32 {
        // A NaN margin comes from a NaN in the patch, whose scores are NaN too and beat nothing.
        self.best[KEPT - 1].0.max(self.best[0].0 - self.margin)
    }

    /// Takes up a row if it is among the best.
    pub fn offer(&mut self, score: f32, row: u32) {
        let before = |&(s, r): &(f32, u32)| s > score || (s == score && r <= row);
        let place = self.best.iter().take_while(|other| before(other)).count();
        if place < KEPT && score > f32::NEG_INFINITY {
            self.best[place..].rotate_right(1);
            self.best[place] = (score, row);
        }
    }

    /// Takes up the rows that another thread has found.
    pub fn merge(&mut self, other: &Self) {
        for &(score, row) in &other.best {
            self.offer(score, row);
        }
    }

    /// The rows that can be the nearest, at least one.
    pub fn rows(&self) -> impl Iterator<Item = usize> {
        let least = self.best[0].0 - self.margin;
        self.best.iter().enumerate().filter(move |(place, (score, _))| *place == 0 || *score >= least).map(|(_, (_, row))| *row as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(candidates: &Candidates) -> Vec<usize> {
        candidates.rows().collect()
    }

    #[test]
    fn the_best_are_kept_in_whatever_order_they_come() {
        let scores = [(3.0, 7), (5.0, 1), (5.0, 9), (4.9, 2), (4.7, 3), (5.0, 4), (f32::NAN, 5)];
        for turn in 0..scores.len() {
            let mut candidates = Candidates::none(0.2);
            for i in 0..scores.len() {
                let (score, row) = scores[(i + turn) % scores.len()];
                candidates.offer(score, row);
            }
            assert_eq!(rows(&candidates), [1, 4, 9, 2]);
        }
    }

    #[test]
    fn merging_is_like_seeing_all() {
        let (mut one, mut other) = (Candidates::none(10.0), Candidates::none(10.0));
        one.offer(1.0, 0);
        one.offer(3.0, 2);
        other.offer(2.0, 50);
        other.offer(3.0, 51);
        one.merge(&other);
        assert_eq!(rows(&one), [2, 51, 50, 0]);
    }

    #[test]
    fn rows_that_do_not_count_are_no_candidates() {
        let mut candidates = Candidates::none(1.0);
        candidates.offer(f32::NEG_INFINITY, 3);
        assert_eq!(candidates.bar(), f32::NEG_INFINITY);
        candidates.offer(-1e30, 4);
        assert_eq!(rows(&candidates), [4]);
        // A patch with NaN scores no row; it is then compared with row 0 and gets a NaN distance.
        assert_eq!(rows(&Candidates::none(f32::NAN)), [0]);
    }
}
