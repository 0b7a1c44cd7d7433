//! Which patches of the reservoir become bank rows.

mod greedy;
mod kmeans;
mod projection;
mod random;

pub(super) use kmeans::centres;

use crate::domain::CoresetMethod;
use tch::{TchError, Tensor};

/// The rows of a bank to be.
pub(super) struct Coreset {
    /// `[M, D]` float32.
    pub rows: Tensor,
    /// The reservoir row that each of them is; `None` for cluster centres, which are nobody's patches.
    pub chosen: Option<Vec<i64>>,
}

/// Rows kept out of `rows`: max(1, floor(`coreset`·`rows`)), all of them for 0.
pub(super) fn kept(coreset: f64, rows: usize) -> usize {
    if coreset == 0.0 { rows } else { ((coreset * rows as f64) as usize).clamp(1, rows.max(1)) }
}

/// Keeps `keep` of the reservoir's `rows` `[N, D]`; `progress` hears (steps done, steps at most).
pub(super) fn select(
    method: CoresetMethod,
    rows: &Tensor,
    keep: usize,
    seed: u64,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Coreset, TchError> {
    let (count, _) = rows.size2()?;
    let count = count as usize;
    if keep >= count {
        return Ok(Coreset { rows: rows.shallow_clone(), chosen: Some((0..count as i64).collect()) });
    }
    let chosen = match method {
        CoresetMethod::Kmeans => return Ok(Coreset { rows: centres(rows, None, keep, seed, progress)?, chosen: None }),
        CoresetMethod::Greedy => greedy::choose(rows, keep, seed, progress)?,
        CoresetMethod::Random => random::choose(count, keep, seed),
    };
    Ok(Coreset { rows: rows.f_index_select(0, &Tensor::f_from_slice(&chosen)?)?, chosen: Some(chosen) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_kept_is_that_of_the_scripts() {
        assert_eq!(kept(0.02, 51_200), 1024);
        assert_eq!(kept(0.02, 49), 1);
        assert_eq!(kept(0.02, 149), 2);
        assert_eq!(kept(0.0, 77), 77);
        assert_eq!(kept(1.0, 77), 77);
    }

    #[test]
    fn chosen_rows_are_rows_of_the_reservoir() {
        let values: Vec<f32> = (0..300).map(|i| ((i * 7919) % 1009) as f32).collect();
        let rows = Tensor::f_from_slice(&values).unwrap().f_view([100, 3]).unwrap();
        for method in [CoresetMethod::Greedy, CoresetMethod::Random] {
            let coreset = select(method, &rows, 20, 5, &mut |_, _| {}).unwrap();
            let chosen = coreset.chosen.unwrap();
            let mut different = chosen.clone();
            different.sort_unstable();
            different.dedup();
            assert_eq!(different.len(), 20, "{method}");
            assert_eq!(coreset.rows, rows.f_index_select(0, &Tensor::f_from_slice(&chosen).unwrap()).unwrap());
            let again = select(method, &rows, 20, 5, &mut |_, _| {}).unwrap();
            assert_eq!(again.chosen, Some(chosen));
            assert_ne!(select(method, &rows, 20, 6, &mut |_, _| {}).unwrap().chosen, again.chosen);
        }
        let all = select(CoresetMethod::Kmeans, &rows, 100, 5, &mut |_, _| {}).unwrap();
        assert_eq!((all.rows, all.chosen.map(|c| c.len())), (rows, Some(100)));
    }
}
