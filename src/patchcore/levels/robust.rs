//! Where numbers lie and how far they spread, whatever a few odd ones among them are.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Values farther than this from the median, in median absolute deviations, do not count: 4 standard deviations of a normal distribution.
const CUT: f64 = 6.0;
/// The smallest spread of logarithms: OK images that are copies of each other have none.
const LEAST_SPREAD: f64 = 1e-3;

/// Tukey's biweight location and scale: about mean and standard deviation, and no single value moves them much. Of logarithms.
///
/// Mosteller and Tukey (1977), "Data Analysis and Regression", chapter 10. NaN for no values, and when a value is NaN.
pub(super) fn location_and_scale(values: &[f64]) -> (f64, f64) {
    let middle = median(values.to_vec());
    let deviation = median(values.iter().map(|value| (value - middle).abs()).collect());
    if deviation == 0.0 {
        return (middle, LEAST_SPREAD);
    }
    let near = values.iter().map(|value| (value - middle, ((value - middle) / (CUT * deviation)).powi(2))).filter(|(_, u2)| *u2 < 1.0);
    let (mut pull, mut weights, mut spread, mut shrink) = (0.0, 0.0, 0.0, 0.0);
    for (distance, u2) in near {
        let weight = (1.0 - u2).powi(2);
        pull += distance * weight;
        weights += weight;
        spread += distance.powi(2) * weight.powi(2);
        shrink += (1.0 - u2) * (1.0 - 5.0 * u2);
    }
    let scale = (values.len() as f64 * spread).sqrt() / shrink.abs();
    (middle + pull / weights, if scale < LEAST_SPREAD { LEAST_SPREAD } else { scale })
}

/// The value that a share `below` of all further draws stays under, after `count` draws with this location and scale: the prediction
/// limit of a normal distribution whose mean and deviation are estimates (Student's t).
pub(super) fn prediction_limit((location, scale): (f64, f64), count: usize, below: f64) -> f64 {
    let count = count as f64;
    let quantile = StudentsT::new(0.0, 1.0, (count - 1.0).max(1.0)).map_or(f64::NAN, |t| t.inverse_cdf(below));
    location + quantile * scale * (1.0 + 1.0 / count).sqrt()
}

/// The median; NaN for no values or when one is NaN.
pub(super) fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

/// The quantile `share` with linear interpolation; NaN for no values or when one is NaN.
pub(super) fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let place = share * (values.len() - 1) as f64;
    let (_, low, above) = values.select_nth_unstable_by(place.floor() as usize, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    low + (high - low) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws of a normal distribution, by its quantiles.
    fn normal(count: usize) -> Vec<f64> {
        let quantile = |i: usize| statrs::distribution::Normal::standard().inverse_cdf((i as f64 + 0.5) / count as f64);
        (0..count).map(|i| 3.0 + 0.5 * quantile(i)).collect()
    }

    #[test]
    fn of_a_normal_distribution_they_are_mean_and_deviation() {
        let (location, scale) = location_and_scale(&normal(500));
        assert!((location - 3.0).abs() < 1e-9 && (scale / 0.5 - 1.0).abs() < 0.06, "{location} {scale}");
    }

    #[test]
    fn one_odd_value_moves_them_little() {
        let mut values = normal(50);
        let before = prediction_limit(location_and_scale(&values), 50, 0.98);
        for odd in [4.5, 6.0, 100.0, -50.0] {
            values.push(odd);
            let after = prediction_limit(location_and_scale(&values), 51, 0.98);
            assert!((after - before).abs() < 0.1 * 0.5 * 2.05, "{odd}: {before} {after}");
            values.pop();
        }
    }

    #[test]
    fn few_values_need_a_wider_limit() {
        // scipy: 2.0537, t.ppf(0.98, 49) * sqrt(1 + 1/50), t.ppf(0.98, 5) * sqrt(1 + 1/6)
        for (count, wanted) in [(1_000_000, 2.053_75), (50, 2.131_19), (6, 2.977_48)] {
            let limit = prediction_limit((0.0, 1.0), count, 0.98);
            assert!((limit - wanted).abs() < 2e-3, "{count}: {limit}");
        }
    }

    #[test]
    fn what_does_not_vary_has_the_least_spread() {
        assert_eq!(location_and_scale(&[2.0; 9]), (2.0, LEAST_SPREAD));
        assert!(location_and_scale(&[]).0.is_nan() && location_and_scale(&[1.0, f64::NAN]).0.is_nan());
        assert_eq!(location_and_scale(&[2.0]), (2.0, LEAST_SPREAD));
    }
}
