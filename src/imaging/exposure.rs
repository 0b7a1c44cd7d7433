//! What a picture shows about its camera.

use crate::domain::{Picture, Samples};

/// The light and the identity of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exposure {
    /// Mean of all samples, percent of full scale.
    pub mean: f64,
    /// Samples at full scale, percent of all.
    pub saturated: f64,
    /// BLAKE3 of the samples: equal only for the same picture, whatever else is in its file.
    pub fingerprint: [u8; 32],
}

/// Measures a picture.
pub fn exposure(picture: &Picture) -> Exposure {
    let full = (1u64 << picture.bit_depth) - 1;
    let mut hasher = blake3::Hasher::new();
    let (count, sum, at_full) = match &picture.samples {
        Samples::U8(samples) => {
            hasher.update(samples);
            tally(samples, full)
        }
        Samples::U16(samples) => {
            for part in samples.chunks(1 << 16) {
                let bytes: Vec<u8> = part.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                hasher.update(&bytes);
            }
            tally(samples, full)
        }
    };
    let percent = |part: f64| 100.0 * part / (count.max(1) as f64);
    Exposure { mean: percent(sum as f64 / full as f64), saturated: percent(at_full as f64), fingerprint: *hasher.finalize().as_bytes() }
}

/// How many samples, their sum, and how many are `full` or above.
fn tally<T: Copy + Into<u64>>(samples: &[T], full: u64) -> (usize, u64, u64) {
    let (sum, at_full) = samples.iter().fold((0, 0), |(sum, at_full), &sample| {
        let sample: u64 = sample.into();
        (sum + sample, at_full + u64::from(sample >= full))
    });
    (samples.len(), sum, at_full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_is_measured_against_the_bit_depth() {
        let picture = |bit_depth, samples| Picture { width: 2, height: 2, channels: 1, bit_depth, samples };
        let eight = exposure(&picture(8, Samples::U8(vec![0, 0, 255, 255])));
        assert_eq!((eight.mean, eight.saturated), (50.0, 50.0));
        let twelve = exposure(&picture(12, Samples::U16(vec![0, 0, 0, 4095])));
        assert_eq!((twelve.mean, twelve.saturated), (25.0, 25.0));
        assert_ne!(eight.fingerprint, exposure(&picture(8, Samples::U8(vec![0, 255, 0, 255]))).fingerprint);
    }
}
