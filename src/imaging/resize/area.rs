//! Area averaging: every output pixel is the mean of the input rectangle it covers (`cv2.INTER_AREA`).

use super::size::Size;

/// The input pixels that make one output pixel: `count` of them from `start`.
struct Cell {
    start: usize,
    count: usize,
    /// Weights of the first, the middle and the last pixels.
    first: f32,
    middle: f32,
    last: f32,
}

impl Cell {
    fn weight(&self, i: usize) -> f32 {
        match i {
            0 => self.first,
            i if i + 1 == self.count => self.last,
            _ => self.middle,
        }
    }
}

/// The cells of `to` output pixels on `from` input pixels (OpenCV, `computeResizeAreaTab`, with its tolerance of 1e-3).
fn cells(from: usize, to: usize) -> Vec<Cell> {
    let scale = 1.0 / (to as f64 / from as f64);
    (0..to)
        .map(|i| {
            let begin = i as f64 * scale;
            let end = begin + scale;
            let width = scale.min(from as f64 - begin);
            let whole_end = (end.floor() as usize).min(from - 1);
            let whole_begin = (begin.ceil() as usize).min(whole_end);
            let (head, tail) = (whole_begin as f64 - begin, end - whole_end as f64);
            let middle = (1.0 / width) as f32;
            let head = (head > 1e-3).then_some((head / width) as f32);
            let tail = (tail > 1e-3).then_some((tail.min(1.0).min(width) / width) as f32);
            let last = tail.unwrap_or(middle);
            Cell {
                start: whole_begin - usize::from(head.is_some()),
                count: whole_end - whole_begin + usize::from(head.is_some()) + usize::from(tail.is_some()),
                first: head.unwrap_or(if whole_end > whole_begin { middle } else { last }),
                middle,
                last,
            }
        })
        .collect()
}

/// Area averaging of `CHANNELS` interleaved channels; `finish` turns each mean into its output value. Rows are read once, in order.
pub(super) fn area<T: Copy + Into<f32>, const CHANNELS: usize>(input: &[T], from: Size, to: Size, finish: impl Fn(f32) -> f32) -> Vec<f32> {
    let columns = cells(from.width, to.width);
    let mut output = Vec::with_capacity(to.width * to.height * CHANNELS);
    let mut row = vec![0f32; to.width * CHANNELS];
    let mut sum = vec![0f32; to.width * CHANNELS];
    for cell in cells(from.height, to.height) {
        sum.fill(0.0);
        for i in 0..cell.count {
            let start = (cell.start + i) * from.width * CHANNELS;
            shrink_row::<T, CHANNELS>(&input[start..start + from.width * CHANNELS], &columns, &mut row);
            let weight = cell.weight(i);
            for (s, r) in sum.iter_mut().zip(&row) {
                *s += weight * r;
            }
        }
        output.extend(sum.iter().map(|&s| finish(s)));
    }
    output
}

fn shrink_row<T: Copy + Into<f32>, const CHANNELS: usize>(input: &[T], columns: &[Cell], output: &mut [f32]) {
    for (cell, out) in columns.iter().zip(output.as_chunks_mut::<CHANNELS>().0) {
        let pixels = input[cell.start * CHANNELS..(cell.start + cell.count) * CHANNELS].as_chunks::<CHANNELS>().0;
        let mut sum = [0f32; CHANNELS];
        let mut add = |pixel: &[T; CHANNELS], weight: f32| {
            for (s, &v) in sum.iter_mut().zip(pixel) {
                *s += v.into() * weight;
            }
        };
        if let [first, rest @ ..] = pixels {
            add(first, cell.first);
            if let [between @ .., last] = rest {
                between.iter().for_each(|pixel| add(pixel, cell.middle));
                add(last, cell.last);
            }
        }
        *out = sum;
    }
}

/// [`area`] for 8-bit samples, rounded to whole levels: half to even, but half up for exactly 2×2, as OpenCV does.
pub(super) fn area_u8<const CHANNELS: usize>(input: &[u8], from: Size, to: Size) -> Vec<f32> {
    if from.width.is_multiple_of(to.width) && from.height.is_multiple_of(to.height) {
        return whole_factor::<CHANNELS>(input, from, to);
    }
    area::<u8, CHANNELS>(input, from, to, |v| v.round_ties_even().clamp(0.0, 255.0))
}

/// Shrinking by whole factors, with exact integer sums.
fn whole_factor<const CHANNELS: usize>(input: &[u8], from: Size, to: Size) -> Vec<f32> {
    let (fx, fy) = (from.width / to.width, from.height / to.height);
    let mean = 1.0 / (fx * fy) as f32;
    let mut output = Vec::with_capacity(to.width * to.height * CHANNELS);
    let mut sums = vec![[0u32; CHANNELS]; to.width];
    for rows in input.chunks_exact(fy * from.width * CHANNELS) {
        sums.fill([0; CHANNELS]);
        for row in rows.chunks_exact(from.width * CHANNELS) {
            for (sum, block) in sums.iter_mut().zip(row.chunks_exact(fx * CHANNELS)) {
                for pixel in block.as_chunks::<CHANNELS>().0 {
                    for (s, &v) in sum.iter_mut().zip(pixel) {
                        *s += u32::from(v);
                    }
                }
            }
        }
        let finish = |s: u32| if (fx, fy) == (2, 2) { ((s + 2) >> 2) as f32 } else { (s as f32 * mean).round_ties_even() };
        output.extend(sums.as_flattened().iter().map(|&s| finish(s)));
    }
    output
}
