//! Pixels that are colour numbers.

use super::fault::Fault;

/// The samples of each colour in sequence.
pub(super) struct Palette {
    samples: Vec<u8>,
    /// Samples of one colour.
    channels: usize,
}

impl Palette {
    /// RGB colours; with `reduce`, a palette of grays has one sample per colour.
    pub(super) fn of_opaque(colours: impl Iterator<Item = [u8; 3]> + Clone, reduce: bool) -> Palette {
        if reduce && colours.clone().all(|[r, g, b]| r == g && g == b) {
            return Palette { samples: colours.map(|[gray, ..]| gray).collect(), channels: 1 };
        }
        Palette { samples: colours.flatten().collect(), channels: 3 }
    }

    /// RGB colours with the given alpha; colours without an alpha are opaque.
    pub(super) fn of_alpha(colours: impl Iterator<Item = [u8; 3]>, alpha: &[u8]) -> Palette {
        let alpha = alpha.iter().copied().chain(std::iter::repeat(255));
        Palette { samples: colours.zip(alpha).flat_map(|([r, g, b], a)| [r, g, b, a]).collect(), channels: 4 }
    }

    /// True when its colours are single gray samples.
    pub(super) fn is_gray(&self) -> bool {
        self.channels == 1
    }

    /// Adds the colours of a row of `width` numbers of 1, 2, 4 or 8 bits to `row`.
    pub(super) fn expand(&self, numbers: &[u8], bits: usize, width: usize, row: &mut Vec<u8>) -> Result<(), Fault> {
        for x in 0..width {
            let number = usize::from(numbers[x * bits / 8] >> (8 - bits - x * bits % 8) & (0xff >> (8 - bits)));
            let Some(colour) = self.samples.get(number * self.channels..(number + 1) * self.channels) else {
                let colours = self.samples.len() / self.channels;
                return Err(Fault::unsupported(format!(
                    "has a pixel of colour {number}, but a palette of {colours} colours; save it with another program"
                )));
            };
            row.extend_from_slice(colour);
        }
        Ok(())
    }
}
