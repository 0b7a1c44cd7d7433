//! Repeatable noise for forms and streaks.

/// 0 below `from`, 1 above `to`, smooth in between; `from` may be the larger one.
pub fn smooth(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Smooth noise over the plane, -1..=1, one bump per unit.
pub fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (column, row) = (x.floor(), y.floor());
    let (i, j) = (column as i32, row as i32);
    let (u, v) = (smooth(0.0, 1.0, x - column), smooth(0.0, 1.0, y - row));
    let between = |a: f32, b: f32, t: f32| a + (b - a) * t;
    let upper = between(corner(i, j, seed), corner(i + 1, j, seed), u);
    let lower = between(corner(i, j + 1, seed), corner(i + 1, j + 1, seed), u);
    between(upper, lower, v)
}

/// A value in -1..=1 for a corner of the lattice.
fn corner(x: i32, y: i32, seed: u32) -> f32 {
    let mut hash = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77) ^ seed.wrapping_mul(0xC2B2_AE3D);
    hash = (hash ^ (hash >> 15)).wrapping_mul(0x2C1B_3C6D);
    hash = (hash ^ (hash >> 12)).wrapping_mul(0x297A_2D39);
    hash ^= hash >> 15;
    hash as f32 / u32::MAX as f32 * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_smooth_bounded_and_repeatable() {
        for step in 0..1000 {
            let x = step as f32 * 0.0137 - 5.0;
            let here = noise(x, 2.3, 9);
            assert!(here.abs() <= 1.0 && (noise(x + 0.001, 2.3, 9) - here).abs() < 0.02);
            assert_eq!(here, noise(x, 2.3, 9));
        }
        assert_ne!(noise(0.5, 0.5, 1), noise(0.5, 0.5, 2));
    }
}
