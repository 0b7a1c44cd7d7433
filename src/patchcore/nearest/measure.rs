//! Distances and products of two vectors.

/// Values that each of 16 running sums takes before it is added up in float64.
const LONG: usize = 16;

/// `|a − b|²`, summed in float32 over 16 by 16 values and in float64 from there on.
#[inline(always)]
pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |a, b, sum| sum + (a - b) * (a - b))
}

/// `a·b`, summed in the same way.
#[inline(always)]
pub(super) fn product(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |a, b, sum| sum + a * b)
}

#[inline(always)]
fn sum(a: &[f32], b: &[f32], add: impl Fn(f32, f32, f32) -> f32) -> f64 {
    let mut total = 0.0;
    for (a, b) in a.chunks(16 * LONG).zip(b.chunks(16 * LONG)) {
        let mut sums = [0.0_f32; 16];
        for (a, b) in a.chunks(16).zip(b.chunks(16)) {
            for ((a, b), sum) in a.iter().zip(b).zip(&mut sums) {
                *sum = add(*a, *b, *sum);
            }
        }
        total += sums.iter().copied().map(f64::from).sum::<f64>();
    }
    total
}
