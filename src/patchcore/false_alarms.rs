//! What tau promises about good parts that it has not seen.
//!
//! The scores of n held-out OK images and of the next good part are taken for draws from one distribution, whatever its shape.
//! Then the share of good parts above the k-th smallest of the n scores is distributed as Beta(n − k + 1, k): the distribution-free
//! tolerance limit of Wilks (1941), "Determination of sample sizes for setting tolerance limits". Nothing else is assumed; parts from
//! another batch, camera or lamp are draws from another distribution, and nothing is promised for them.

use crate::domain::FalseAlarms;
use statrs::distribution::{Beta, ContinuousCDF};

/// How sure the bound is.
const CONFIDENCE: f64 = 0.95;

impl FalseAlarms {
    /// For an `image_tau` that `above` of `groups` held-out groups of OK images exceeded: `image_tau` is then at least their next largest
    /// score. `None` without any group.
    pub fn counted(above: usize, groups: usize) -> Option<Self> {
        let (above, groups) = (above.min(groups.saturating_sub(1)) as f64, groups as f64);
        let rejected = Beta::new(above + 1.0, groups - above).ok()?;
        Some(Self { expected: 1000.0 * (above + 1.0) / (groups + 1.0), bound: 1000.0 * rejected.inverse_cdf(CONFIDENCE) })
    }

    /// For `image_tau` = the `image_pct` quantile (linear interpolation) of the scores of `images` held-out OK images; `None`
    /// without any.
    pub fn promised(images: usize, image_pct: f64) -> Option<Self> {
        let count = images as f64;
        // Place of tau among the sorted scores, counted from 1; what lies below it is at least the floor.
        let place = image_pct * (count - 1.0) + 1.0;
        let below = place.floor();
        let rejected = Beta::new(count - below + 1.0, below).ok()?;
        Some(Self { expected: 1000.0 * (count + 1.0 - place) / (count + 1.0), bound: 1000.0 * rejected.inverse_cdf(CONFIDENCE) })
    }
}

/// Says so where so few OK images cannot resolve the percentile asked for: tau is then next to the largest of their scores, and
/// more good parts than `1 − image_pct` will be rejected.
pub fn unresolved(images: usize, image_pct: f64) -> Option<String> {
    let needed = (1.0 / (1.0 - image_pct)).ceil();
    let promise = FalseAlarms::promised(images, image_pct)?;
    (image_pct < 1.0 && (images as f64) < needed - 0.5).then(|| {
        format!(
            "{images} OK images cannot resolve image_pct {image_pct}: image_tau is in effect their largest score, and about {:.0} of 1000 \
             good parts will be rejected (with 95 % confidence at most {:.0}) instead of {:.0}; use {needed} OK images or more",
            promise.expected,
            promise.bound,
            1000.0 * (1.0 - image_pct),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const BOUNDS: [(usize, f64, f64); 6] = [
        (50, 0.995, 0.091398131),
        (10, 0.995, 0.394163302),
        (200, 0.995, 0.023498470),
        (1000, 0.995, 0.010484077),
        (2, 0.995, 0.974679434),
        (95, 0.9, 0.172007006),
    ];

    #[test]
    fn the_bound_is_that_of_wilks() {
        // scipy.stats.beta.ppf(0.95, n - k + 1, k) with k = floor(pct * (n - 1)) + 1.
        for (images, pct, bound) in BOUNDS {
            let promise = FalseAlarms::promised(images, pct).unwrap();
            assert!((promise.bound - 1000.0 * bound).abs() < 1e-3, "{images} {pct}: {promise:?}");
            assert!(promise.expected < promise.bound);
        }
        assert_eq!(FalseAlarms::promised(0, 0.995), None);
    }

    #[test]
    fn a_count_promises_as_much_as_the_next_largest_score() {
        // scipy.stats.beta.ppf(0.95, 1, 50) and (3, 48)
        for (above, expected, bound) in [(0, 1000.0 / 51.0, 58.155_1), (2, 3000.0 / 51.0, 120.614_2)] {
            let promise = FalseAlarms::counted(above, 50).unwrap();
            assert!((promise.expected - expected).abs() < 1e-9 && (promise.bound - bound).abs() < 1e-2, "{above}: {promise:?}");
        }
        assert_eq!(FalseAlarms::counted(0, 0), None);
        assert!(FalseAlarms::counted(3, 3).unwrap().bound > 980.0);
    }

    #[test]
    fn it_holds_in_a_simulation() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let (images, pct, rounds) = (50, 0.97, 4000);
        let promise = FalseAlarms::promised(images, pct).unwrap();
        let (mut rejected, mut kept) = (0.0, 0);
        for _ in 0..rounds {
            let mut scores: Vec<f64> = (0..images).map(|_| rng.random()).collect();
            scores.sort_by(f64::total_cmp);
            let place = pct * (images - 1) as f64;
            let (low, share) = (place.floor() as usize, place.fract());
            // Of uniform scores 1 - tau lie above tau.
            let rate = 1000.0 * (1.0 - (scores[low] + share * (scores[low + 1] - scores[low])));
            rejected += rate / f64::from(rounds);
            kept += i32::from(rate <= promise.bound);
        }
        assert!((rejected - promise.expected).abs() < 2.0, "{rejected} against {promise:?}");
        assert!(f64::from(kept) >= 0.945 * f64::from(rounds), "{kept} of {rounds}");
    }

    #[test]
    fn too_few_images_are_told_so() {
        let text = unresolved(50, 0.995).unwrap();
        assert!(text.contains("50 OK images") && text.contains("about 24 of 1000") && text.contains("use 200 OK images"), "{text}");
        assert_eq!(unresolved(200, 0.995), None);
        assert_eq!(unresolved(20, 0.95), None);
        assert_eq!(unresolved(5, 1.0), None);
    }
}
