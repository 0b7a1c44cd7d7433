//! Distances and products of two vectors.

use pulp::Simd;

/// Values that each of 16 running sums takes before it is added up in float64.
const LONG: usize = 16;
/// Running sums of a product.
const SUMS: usize = 4;

/// `|a − b|²`, summed in float32 over 16 by 16 values and in float64 from there on: the same bits on every processor.
#[inline(always)]
pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let mut total = 0.0;
    for (a, b) in a.chunks(16 * LONG).zip(b.chunks(16 * LONG)) {
        let mut sums = [0.0_f32; 16];
        for (a, b) in a.chunks(16).zip(b.chunks(16)) {
            for ((a, b), sum) in a.iter().zip(b).zip(&mut sums) {
                *sum += (a - b) * (a - b);
            }
        }
        total += sums.iter().copied().map(f64::from).sum::<f64>();
    }
    total
}

/// `a·b` of vectors whose length is a multiple of [`super::sketch::STEP`].
#[inline(always)]
pub(super) fn product<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [simd.splat_f32s(0.0); SUMS];
    for (a, b) in S::as_simd_f32s(a).0.chunks(SUMS).zip(S::as_simd_f32s(b).0.chunks(SUMS)) {
        for ((a, b), sum) in a.iter().zip(b).zip(&mut sums) {
            *sum = simd.mul_add_e_f32s(*a, *b, *sum);
        }
    }
    let [a, b, c, d] = sums;
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
}

/// The largest of some values, as many as a multiple of 16; those that are NaN do not count.
#[inline(always)]
pub(super) fn largest<S: Simd>(simd: S, values: &[f32]) -> f32 {
    let least = simd.splat_f32s(f32::NEG_INFINITY);
    // Of a NaN and a number the second one is taken.
    simd.reduce_max_f32s(S::as_simd_f32s(values).0.iter().fold(least, |largest, values| simd.max_f32s(*values, largest)))
}
