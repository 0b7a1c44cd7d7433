//! The directions of the largest variance among vectors.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, TchError, Tensor};

/// More directions than are wanted make the wanted ones exact.
const SPARE: i64 = 32;

/// The first `most` principal axes of vectors `[S, D]` float32: orthonormal columns `[D, K]`, the largest variance first, with
/// K = `most` or D, whichever is less; and the mean vector `[1, D]`.
///
/// By subspace iteration from seeded directions: Halko, Martinsson and Tropp (2011), "Finding structure with randomness", algorithm
/// 4.4. Each of the `rounds` sharpens the border between kept and left-out variance; the columns are orthonormal after any number.
pub(super) fn principal_axes(vectors: &Tensor, most: i64, rounds: usize, seed: u64) -> Result<(Tensor, Tensor), TchError> {
    let (_, dim) = vectors.size2()?;
    let mean = vectors.f_mean_dim([0].as_slice(), true, Kind::Float)?;
    let centred = vectors.f_sub(&mean)?;
    let mut directions = seeded(dim, dim.min(most + SPARE), seed)?;
    for _ in 0..rounds {
        directions = orthonormal(&centred.f_tr()?.f_matmul(&centred.f_matmul(&directions)?)?)?;
    }
    // Within the subspace the axes are exact.
    let within = centred.f_matmul(&directions)?.f_to_kind(Kind::Double)?;
    let (_, rotation) = within.f_tr()?.f_matmul(&within)?.f_linalg_eigh("L")?;
    let rotation = rotation.f_flip([1].as_slice())?.f_narrow(1, 0, dim.min(most))?.f_to_kind(Kind::Float)?;
    Ok((directions.f_matmul(&rotation)?, mean))
}

/// `[rows, columns]` of random directions, about orthogonal.
fn seeded(rows: i64, columns: i64, seed: u64) -> Result<Tensor, TchError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..rows * columns).map(|_| rng.random::<f32>() - 0.5).collect();
    orthonormal(&Tensor::f_from_slice(&values)?.f_view([rows, columns])?)
}

/// Orthonormal columns with the same span.
fn orthonormal(columns: &Tensor) -> Result<Tensor, TchError> {
    Ok(Tensor::f_linalg_qr(columns, "reduced")?.0)
}
