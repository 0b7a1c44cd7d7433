//! Bilinear interpolation between pixel centres (`cv2.INTER_LINEAR`): output pixel i is at (i + 1/2)·scale − 1/2; edges repeat.

use super::size::Size;

/// Fixed-point scale of the 8-bit weights, as OpenCV's `INTER_RESIZE_COEF_SCALE`.
const WEIGHT_ONE: f32 = 2048.0;

/// An output position between two input pixels.
#[derive(Clone, Copy)]
struct Tap {
    low: usize,
    high: usize,
    /// Weight of `high`, 0..=1.
    fraction: f32,
}

fn taps(from: usize, to: usize) -> Vec<Tap> {
    let scale = 1.0 / (to as f64 / from as f64);
    let last = from - 1;
    (0..to)
        .map(|i| {
            // In this order and precision, because the fraction decides the rounding.
            let position = ((i as f64 + 0.5) * scale - 0.5) as f32;
            let below = position.floor();
            let pixel = |at: f32| (at.max(0.0) as usize).min(last);
            // Beyond the edge, both pixels are the same. But OpenCV's 8-bit rounding depends on the fraction there too.
            Tap { low: pixel(below), high: pixel(below + 1.0), fraction: position - below }
        })
        .collect()
}

/// Interpolates in f32; `finish` turns each value into its output.
pub(crate) fn linear_f32<T: Copy + Into<f32>, O>(input: &[T], channels: usize, from: Size, to: Size, finish: impl Fn(f32) -> O) -> Vec<O> {
    let columns = taps(from.width, to.width);
    let widen = |y: usize, out: &mut [f32]| {
        let row = &input[y * from.width * channels..][..from.width * channels];
        for (tap, out) in columns.iter().zip(out.chunks_exact_mut(channels)) {
            for (c, o) in out.iter_mut().enumerate() {
                let (a, b): (f32, f32) = (row[tap.low * channels + c].into(), row[tap.high * channels + c].into());
                *o = a * (1.0 - tap.fraction) + b * tap.fraction;
            }
        }
    };
    rows(from.height, to, channels, widen, |a, b, fraction, out: &mut Vec<O>| {
        out.extend(a.iter().zip(b).map(|(&a, &b)| finish(a * (1.0 - fraction) + b * fraction)));
    })
}

/// Interpolates 8-bit samples in OpenCV's fixed-point arithmetic, which is a little below the exact value (0.13 levels on average).
pub(super) fn linear_u8<O>(input: &[u8], channels: usize, from: Size, to: Size, finish: impl Fn(u8) -> O) -> Vec<O> {
    let weight = |f: f32| (f * WEIGHT_ONE).round_ties_even() as i32;
    let columns: Vec<_> =
        taps(from.width, to.width).iter().map(|t| (t.low, t.high, weight(1.0 - t.fraction), weight(t.fraction))).collect();
    let widen = |y: usize, out: &mut [i32]| {
        let row = &input[y * from.width * channels..][..from.width * channels];
        for (&(low, high, wl, wh), out) in columns.iter().zip(out.chunks_exact_mut(channels)) {
            for (c, o) in out.iter_mut().enumerate() {
                *o = i32::from(row[low * channels + c]) * wl + i32::from(row[high * channels + c]) * wh;
            }
        }
    };
    rows(from.height, to, channels, widen, |a, b, fraction, out: &mut Vec<O>| {
        let (wl, wh) = (weight(1.0 - fraction), weight(fraction));
        let mix = |a: i32, b: i32| ((((wl * (a >> 4)) >> 16) + ((wh * (b >> 4)) >> 16) + 2) >> 2).clamp(0, 255) as u8;
        out.extend(a.iter().zip(b).map(|(&a, &b)| finish(mix(a, b))));
    })
}

/// Makes the output row by row. `widen` brings each input row to the output width once, and the row stays while it is needed.
fn rows<V: Copy + Default, O>(
    from_height: usize,
    to: Size,
    channels: usize,
    widen: impl Fn(usize, &mut [V]),
    blend: impl Fn(&[V], &[V], f32, &mut Vec<O>),
) -> Vec<O> {
    let mut output = Vec::with_capacity(to.width * to.height * channels);
    let mut low = (usize::MAX, vec![V::default(); to.width * channels]);
    let mut high = low.clone();
    for tap in taps(from_height, to.height) {
        if low.0 != tap.low && high.0 == tap.low {
            std::mem::swap(&mut low, &mut high);
        }
        for (held, wanted) in [(&mut low, tap.low), (&mut high, tap.high)] {
            if held.0 != wanted {
                widen(wanted, &mut held.1);
                held.0 = wanted;
            }
        }
        blend(&low.1, &high.1, tap.fraction, &mut output);
    }
    output
}
