//! Mini-batch k-means (Sculley 2010) with the choices of scikit-learn's `MiniBatchKMeans(k, batch_size=4096, n_init=1,
//! max_iter=20)`, which the Python scripts use: k-means++ on a sub-sample, centres as running means, centres that win too
//! little put elsewhere, early stop when the smoothed inertia no longer falls.

use super::projection::project;
use crate::patchcore::nearest::NearestRows;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, TchError, Tensor};

const BATCH: usize = 4096;
/// Passes over the data at most.
const MAX_ITER: usize = 20;
/// A centre that won less than this share of what the strongest won is put elsewhere.
const REASSIGNMENT_RATIO: f64 = 0.01;
/// Steps without a better smoothed inertia before it stops.
const MAX_NO_IMPROVEMENT: usize = 10;

/// `k` cluster centres `[k, D]` of `rows` `[N, D]`, or of those rows only that `among` names (ascending); k is at most their
/// number. `progress` hears (steps done, steps at most).
pub(in crate::patchcore) fn centres(
    rows: &Tensor,
    among: Option<&[i64]>,
    k: usize,
    seed: u64,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Tensor, TchError> {
    let count = match among {
        Some(among) => among.len(),
        None => rows.size2()?.0 as usize,
    };
    let take = |drawn: &[usize]| -> Result<Tensor, TchError> {
        let indices: Vec<i64> = drawn.iter().map(|&i| among.map_or(i as i64, |among| among[i])).collect();
        rows.f_index_select(0, &Tensor::f_from_slice(&indices)?)
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let batch = BATCH.min(count);
    let sample = rand::seq::index::sample(&mut rng, count, (3 * batch.max(k)).min(count)).into_vec();
    let spread = plus_plus(&project(&take(&sample)?, seed)?, k, &mut rng)?;
    let mut state = State::new(take(&spread.iter().map(|&i| sample[i]).collect::<Vec<_>>())?)?;
    let steps = MAX_ITER * count / batch;
    let mut stop = EarlyStop::new(batch, count);
    let mut since_reassignment = 0;
    for step in 0..steps {
        let drawn: Vec<usize> = (0..batch).map(|_| rng.random_range(0..count)).collect();
        let patches = take(&drawn)?;
        let inertia = state.update(&patches)?;
        since_reassignment += batch;
        if since_reassignment >= 10 * k || state.won.contains(&0.0) {
            since_reassignment = 0;
            state.reassign(&patches, &mut rng)?;
        }
        progress(step + 1, steps);
        // The first step still measures the seeding.
        if step > 0 && stop.at(inertia) {
            break;
        }
    }
    Ok(state.centres)
}

/// k-means++ (Arthur & Vassilvitskii 2007) with the best of 2 + ln k candidates at each step; indices of `points` `[N, d]`.
///
/// It runs on the projection: the draw goes by squared distance, which the projection keeps, at a small part of the cost.
fn plus_plus(points: &Tensor, k: usize, rng: &mut ChaCha8Rng) -> Result<Vec<usize>, TchError> {
    let (count, _) = points.size2()?;
    let norms = points.f_square()?.f_sum_dim_intlist([1].as_slice(), false, Kind::Float)?;
    let transposed = points.f_transpose(0, 1)?;
    // [t, N]: squared distances of the points at `indices` to all points.
    let squared = |indices: &[i64]| -> Result<Tensor, TchError> {
        let indices = Tensor::f_from_slice(indices)?;
        let own = norms.f_index_select(0, &indices)?.f_unsqueeze(1)?;
        let products = points.f_index_select(0, &indices)?.f_matmul(&transposed)?;
        norms.f_sub(&products.f_mul_scalar(2.0)?)?.f_add(&own)?.f_clamp_min(0.0)
    };
    let trials = 2 + (k as f64).ln() as usize;
    let mut chosen = vec![rng.random_range(0..count as usize)];
    let mut closest = squared(&[chosen[0] as i64])?.f_squeeze_dim(0)?;
    let mut cumulated = vec![0.0_f64; count as usize];
    while chosen.len() < k {
        closest.f_cumsum(0, Kind::Double)?.f_copy_data(&mut cumulated, count as usize)?;
        let total = cumulated[count as usize - 1];
        let candidates: Vec<i64> = (0..trials)
            .map(|_| {
                let drawn = rng.random::<f64>() * total;
                cumulated.partition_point(|&c| c <= drawn).min(count as usize - 1) as i64
            })
            .collect();
        let reached = squared(&candidates)?.f_minimum(&closest)?;
        let best = reached.f_sum_dim_intlist([1].as_slice(), false, Kind::Double)?.f_argmin(0, false)?.f_int64_value(&[])?;
        closest = reached.f_get(best)?;
        chosen.push(candidates[best as usize] as usize);
    }
    Ok(chosen)
}

/// The centres and how many patches each has won.
struct State {
    centres: Tensor,
    won: Vec<f64>,
}

impl State {
    fn new(centres: Tensor) -> Result<Self, TchError> {
        let (k, _) = centres.size2()?;
        Ok(Self { centres, won: vec![0.0; k as usize] })
    }

    /// Moves every centre to the mean of all patches it has won so far; gives the mean squared distance before the move.
    fn update(&mut self, patches: &Tensor) -> Result<f64, TchError> {
        let nearest = NearestRows::new(self.centres.shallow_clone())?.of(patches)?;
        let inertia = nearest.distances.f_square()?.f_mean(Kind::Double)?.f_double_value(&[])?;
        let k = self.won.len();
        let counts = Vec::<i64>::try_from(nearest.rows.f_bincount(None::<Tensor>, k as i64)?)?;
        let sums = self.centres.f_zeros_like()?.f_index_add_(0, &nearest.rows, patches)?;
        let mut share = vec![0.0_f32; k];
        let mut divisor = vec![1.0_f32; k];
        for (i, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.won[i] += count as f64;
            share[i] = (count as f64 / self.won[i]) as f32;
            divisor[i] = count as f32;
        }
        let column = |values: &[f32]| Tensor::f_from_slice(values)?.f_unsqueeze(1);
        let means = sums.f_div(&column(&divisor)?)?;
        self.centres = self.centres.f_add(&means.f_sub(&self.centres)?.f_mul(&column(&share)?)?)?;
        Ok(inertia)
    }

    /// Puts the centres that win too little, half a batch of them at most, on patches drawn from the batch.
    fn reassign(&mut self, patches: &Tensor, rng: &mut ChaCha8Rng) -> Result<(), TchError> {
        let batch = patches.size2()?.0 as usize;
        let strongest = self.won.iter().copied().fold(0.0, f64::max);
        let mut weak: Vec<usize> = (0..self.won.len()).filter(|&i| self.won[i] < REASSIGNMENT_RATIO * strongest).collect();
        weak.sort_by(|&a, &b| self.won[a].total_cmp(&self.won[b]));
        weak.truncate(batch / 2);
        if weak.is_empty() {
            return Ok(());
        }
        let drawn: Vec<i64> = rand::seq::index::sample(rng, batch, weak.len()).into_iter().map(|i| i as i64).collect();
        let slots: Vec<i64> = weak.iter().map(|&i| i as i64).collect();
        let replacements = patches.f_index_select(0, &Tensor::f_from_slice(&drawn)?)?;
        self.centres = self.centres.f_index_copy(0, &Tensor::f_from_slice(&slots)?, &replacements)?;
        // They start with the weight of the weakest that stay, so that one more patch does not carry them off.
        let weakest = (0..self.won.len()).filter(|i| !weak.contains(i)).map(|i| self.won[i]).fold(f64::INFINITY, f64::min);
        for i in weak {
            self.won[i] = weakest;
        }
        Ok(())
    }
}

/// Stops when the exponentially smoothed inertia has not fallen for [`MAX_NO_IMPROVEMENT`] steps.
struct EarlyStop {
    alpha: f64,
    smoothed: Option<f64>,
    least: f64,
    steps_since: usize,
}

impl EarlyStop {
    fn new(batch: usize, count: usize) -> Self {
        Self { alpha: (2.0 * batch as f64 / (count as f64 + 1.0)).min(1.0), smoothed: None, least: f64::INFINITY, steps_since: 0 }
    }

    fn at(&mut self, inertia: f64) -> bool {
        let smoothed = self.smoothed.map_or(inertia, |old| old * (1.0 - self.alpha) + inertia * self.alpha);
        self.smoothed = Some(smoothed);
        if smoothed < self.least {
            (self.least, self.steps_since) = (smoothed, 0);
        } else {
            self.steps_since += 1;
        }
        self.steps_since >= MAX_NO_IMPROVEMENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    const CLUSTERS: usize = 30;

    /// Clusters at (10 i, 10 i, …) with a spread of about 1 and uneven sizes.
    fn clustered(count: usize, dim: usize) -> Tensor {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut values = Vec::new();
        for i in 0..count {
            let cluster = if i % 3 == 0 { 0 } else { i % CLUSTERS };
            values.extend((0..dim).map(|_| 10.0 * cluster as f32 + rng.random::<f32>()));
        }
        Tensor::f_from_slice(&values).unwrap().f_view([count as i64, dim as i64]).unwrap()
    }

    fn inertia(rows: &Tensor, centres: &Tensor) -> f64 {
        let nearest = NearestRows::new(centres.shallow_clone()).unwrap().of(rows).unwrap();
        nearest.distances.f_square().unwrap().f_mean(Kind::Double).unwrap().f_double_value(&[]).unwrap()
    }

    #[test]
    fn every_cluster_gets_a_centre() {
        let rows = clustered(6000, 8);
        let centres = centres(&rows, None, CLUSTERS, 1, &mut |_, _| {}).unwrap();
        // Within a cluster the mean squared distance to the centre is 8/12.
        assert!(inertia(&rows, &centres) < 0.75, "{}", inertia(&rows, &centres));
    }

    #[test]
    fn only_the_rows_named_count() {
        let rows = clustered(3000, 4);
        let among: Vec<i64> = (0..3000).filter(|i| i % 3 != 0 && i % CLUSTERS as i64 == 7).collect();
        let centres = centres(&rows, Some(&among), 5, 1, &mut |_, _| {}).unwrap();
        let values = Vec::<f32>::try_from(centres.f_flatten(0, -1).unwrap()).unwrap();
        assert!(values.iter().all(|v| (70.0..=71.0).contains(v)), "{values:?}");
    }

    #[test]
    fn the_seed_decides() {
        let rows = clustered(2000, 200);
        let run = |seed| centres(&rows, None, 25, seed, &mut |_, _| {}).unwrap();
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn equal_rows_do_no_harm() {
        let rows = Tensor::f_ones([50, 3], (Kind::Float, Device::Cpu)).unwrap();
        let centres = centres(&rows, None, 10, 1, &mut |_, _| {}).unwrap();
        assert_eq!(centres, Tensor::f_ones([10, 3], (Kind::Float, Device::Cpu)).unwrap());
    }
}
