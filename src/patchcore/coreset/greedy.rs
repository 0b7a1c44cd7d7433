//! k-centre greedy (Sener & Savarese 2018, algorithm 1; PatchCore, section 3.2): again and again the row that is farthest from
//! all rows chosen so far. Distances are taken on a seeded random projection.

use super::projection::project;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{TchError, Tensor};

/// `keep` < N indices of `rows` `[N, D]` in the order chosen, the first drawn with `seed`.
pub(super) fn choose(rows: &Tensor, keep: usize, seed: u64, progress: &mut dyn FnMut(usize, usize)) -> Result<Vec<i64>, TchError> {
    let projected = project(rows, seed)?;
    let (count, dim) = projected.size2()?;
    let (count, dim) = (count as usize, dim as usize);
    let mut points = vec![0.0_f32; count * dim];
    projected.f_copy_data(&mut points, count * dim)?;
    drop(projected);
    let first = ChaCha8Rng::seed_from_u64(seed).random_range(0..count);
    let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1);
    Ok(k_centre(&points, dim, first, keep, threads, progress).into_iter().map(|row| row as i64).collect())
}

/// The choice on `points` `[N, dim]`. A row's distance does not depend on how rows are shared out, so every number of threads
/// makes the same choice; ties go to the lowest index.
fn k_centre(points: &[f32], dim: usize, first: usize, keep: usize, threads: usize, progress: &mut dyn FnMut(usize, usize)) -> Vec<usize> {
    let count = points.len() / dim;
    let share = count.div_ceil(threads);
    let mut shares: Vec<Share> = points.chunks(share * dim).enumerate().map(|(i, rows)| Share::new(rows, dim, i * share)).collect();
    let mut chosen = vec![first];
    while chosen.len() < keep {
        let newest = &points[chosen[chosen.len() - 1] * dim..][..dim];
        let between: Vec<f32> = chosen.iter().map(|&centre| squared_distance(newest, &points[centre * dim..][..dim])).collect();
        let (row, _) = std::thread::scope(|scope| {
            let (mine, others) = shares.split_at_mut(1);
            let workers: Vec<_> = others.iter_mut().map(|share| scope.spawn(|| share.add_centre(newest, &chosen, &between))).collect();
            let mut best = mine.first_mut().map_or((first, f32::NEG_INFINITY), |share| share.add_centre(newest, &chosen, &between));
            for worker in workers {
                let other = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                if other.1 > best.1 {
                    best = other;
                }
            }
            best
        });
        chosen.push(row);
        progress(chosen.len(), keep);
    }
    chosen
}

/// The rows that one thread looks after.
struct Share<'a> {
    points: &'a [f32],
    dim: usize,
    /// Index of its first row among all.
    start: usize,
    /// Squared distance to the nearest chosen row; below zero once chosen, so that a duplicate is not chosen for ever.
    distances: Vec<f32>,
    /// Which of the chosen rows that is.
    nearest: Vec<u32>,
}

impl<'a> Share<'a> {
    fn new(points: &'a [f32], dim: usize, start: usize) -> Self {
        let count = points.len() / dim;
        Self { points, dim, start, distances: vec![f32::INFINITY; count], nearest: vec![0; count] }
    }

    /// Takes in the newest chosen row, whose squared distances to all `chosen` are `between`; gives the farthest row left and its
    /// squared distance.
    fn add_centre(&mut self, newest: &[f32], chosen: &[usize], between: &[f32]) -> (usize, f32) {
        let number = chosen.len() - 1;
        if let Some(own) = chosen[number].checked_sub(self.start).and_then(|i| self.distances.get_mut(i)) {
            *own = -1.0;
        }
        let mut best = (self.start, f32::NEG_INFINITY);
        for (i, point) in self.points.chunks_exact(self.dim).enumerate() {
            let mut distance = self.distances[i];
            // Triangle inequality: a centre twice as far from the row's centre as the row is cannot be nearer to the row.
            if between[self.nearest[i] as usize] < 4.0 * distance {
                let new = squared_distance(point, newest);
                if new < distance {
                    (distance, self.distances[i], self.nearest[i]) = (new, new, number as u32);
                }
            }
            if distance > best.1 {
                best = (self.start + i, distance);
            }
        }
        best
    }
}

/// |a − b|², summed in 16 lanes so that the compiler can use vector instructions.
fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let (a, b) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| (x - y) * (x - y)).sum();
    for (a, b) in a.zip(b) {
        for (lane, (x, y)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += (x - y) * (x - y);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: usize, dim: usize) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        // Clusters of uneven size, so that the triangle inequality has something to skip.
        (0..count)
            .flat_map(|i| {
                let centre = (i * i % 17) as f32;
                (0..dim).map(|_| centre + rng.random::<f32>()).collect::<Vec<_>>()
            })
            .collect()
    }

    /// The algorithm as written down, with nothing skipped.
    fn plain(points: &[f32], dim: usize, first: usize, keep: usize) -> Vec<usize> {
        let row = |i: usize| &points[i * dim..(i + 1) * dim];
        let mut chosen = vec![first];
        while chosen.len() < keep {
            let gap = |i: usize| chosen.iter().map(|&c| squared_distance(row(i), row(c))).fold(f32::INFINITY, f32::min);
            let mut best = (0, f32::NEG_INFINITY);
            for i in (0..points.len() / dim).filter(|i| !chosen.contains(i)) {
                if gap(i) > best.1 {
                    best = (i, gap(i));
                }
            }
            chosen.push(best.0);
        }
        chosen
    }

    #[test]
    fn it_is_the_algorithm_whatever_the_number_of_threads() {
        let points = points(400, 20);
        let want = plain(&points, 20, 33, 60);
        for threads in [1, 2, 3, 7, 500] {
            assert_eq!(k_centre(&points, 20, 33, 60, threads, &mut |_, _| {}), want, "{threads} threads");
        }
    }

    #[test]
    fn ties_go_to_the_lowest_index_and_duplicates_are_chosen_once() {
        let points = [0.0, 1.0, -1.0, 1.0, 0.0];
        assert_eq!(k_centre(&points, 1, 0, 5, 2, &mut |_, _| {}), [0, 1, 2, 3, 4]);
    }
}
