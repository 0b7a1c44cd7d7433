//! The target of the decoders' rows. It keeps the colours and drops alpha on the way, so no second copy of a picture is made.

use super::decoded::Want;
use crate::domain::Samples;

/// The colours of a picture that is being read.
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    /// 1 gray, 3 RGB.
    pub(super) colors: usize,
    /// Samples per pixel of the arriving rows: the colours, and perhaps alpha.
    stored: usize,
    pub(super) samples: Samples,
    /// Alpha of each pixel, cut to 8 bits but never to 0; only on request.
    pub(super) alpha: Option<Vec<u8>>,
}

impl Canvas {
    /// A black canvas for rows with `colors` samples per pixel, plus one with `alpha`. A `wide` canvas has 16 bits.
    pub(super) fn new((width, height): (u32, u32), colors: usize, alpha: bool, wide: bool, want: Want) -> Self {
        let (width, height) = (width as usize, height as usize);
        let count = width * height * colors;
        let samples = if wide { Samples::U16(vec![0; count]) } else { Samples::U8(vec![0; count]) };
        let kept = (alpha && want == Want::Mask).then(|| vec![0; width * height]);
        Self { width, height, colors, stored: colors + usize::from(alpha), samples, alpha: kept }
    }

    /// The canvas of finished 8-bit samples.
    pub(super) fn of_bytes((width, height): (u32, u32), colors: usize, samples: Vec<u8>) -> Self {
        Self { width: width as usize, height: height as usize, colors, stored: colors, samples: Samples::U8(samples), alpha: None }
    }

    /// Bytes that [`Canvas::new`] takes.
    pub(super) fn bytes((width, height): (u32, u32), colors: usize, wide: bool) -> u64 {
        u64::from(width) * u64::from(height) * colors as u64 * if wide { 2 } else { 1 }
    }

    /// Samples per pixel in the file; alpha does not count with gray.
    pub(super) fn file_channels(&self) -> u8 {
        if self.colors == 1 { 1 } else { self.stored as u8 }
    }

    /// Puts pixels into row `y`, from column `x` on.
    pub(super) fn put_u8(&mut self, x: usize, y: usize, pixels: &[u8]) {
        let at = y * self.width + x;
        if let Samples::U8(samples) = &mut self.samples {
            place(&mut samples[at * self.colors..], pixels, self.colors, self.stored);
        }
        if let Some(alpha) = &mut self.alpha {
            alpha[at..].iter_mut().zip(pixels.chunks_exact(self.stored)).for_each(|(to, pixel)| *to = pixel[self.colors]);
        }
    }

    /// Like [`Canvas::put_u8`], for 16-bit samples.
    pub(super) fn put_u16(&mut self, x: usize, y: usize, pixels: &[u16]) {
        let at = y * self.width + x;
        if let Samples::U16(samples) = &mut self.samples {
            place(&mut samples[at * self.colors..], pixels, self.colors, self.stored);
        }
        if let Some(alpha) = &mut self.alpha {
            alpha[at..].iter_mut().zip(pixels.chunks_exact(self.stored)).for_each(|(to, pixel)| *to = narrow(pixel[self.colors]));
        }
    }

    /// Puts samples of one channel into row `y`, from column `x` on.
    pub(super) fn put_channel(&mut self, x: usize, y: usize, channel: usize, values: &[u16]) {
        let at = y * self.width + x;
        if channel >= self.colors {
            if let Some(alpha) = &mut self.alpha {
                alpha[at..].iter_mut().zip(values).for_each(|(to, &value)| *to = narrow(value));
            }
            return;
        }
        let first = at * self.colors + channel;
        match &mut self.samples {
            Samples::U8(samples) => {
                samples[first..].iter_mut().step_by(self.colors).zip(values).for_each(|(to, &value)| *to = value as u8);
            }
            Samples::U16(samples) => samples[first..].iter_mut().step_by(self.colors).zip(values).for_each(|(to, &value)| *to = value),
        }
    }
}

fn place<T: Copy>(to: &mut [T], pixels: &[T], colors: usize, stored: usize) {
    if colors == stored {
        to[..pixels.len()].copy_from_slice(pixels);
        return;
    }
    for (to, pixel) in to.chunks_exact_mut(colors).zip(pixels.chunks_exact(stored)) {
        to.copy_from_slice(&pixel[..colors]);
    }
}

/// Alpha that is not 0 stays not 0.
fn narrow(alpha: u16) -> u8 {
    alpha.min(255) as u8
}
