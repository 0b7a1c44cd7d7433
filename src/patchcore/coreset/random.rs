//! A seeded draw without replacement.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// `keep` of the indices `0..rows`, ascending.
pub(super) fn choose(rows: usize, keep: usize, seed: u64) -> Vec<i64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut chosen: Vec<i64> = rand::seq::index::sample(&mut rng, rows, keep).into_iter().map(|i| i as i64).collect();
    chosen.sort_unstable();
    chosen
}
