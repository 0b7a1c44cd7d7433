//! The orientation of the stored rows, and turning them upright.

use super::ifd::Ifd;

/// Field 274 of TIFF and Exif.
const TAG: u16 = 274;

/// Where the first stored row and column are in the upright picture: the numbers 1 to 8 of TIFF and Exif.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation(u8);

impl Orientation {
    /// The first row is the top, the first column the left.
    pub(super) const UPRIGHT: Orientation = Orientation(1);

    /// The orientation of a directory. `None` without one, or for another number: OpenCV then turns nothing.
    pub(super) fn of(ifd: &Ifd) -> Option<Orientation> {
        match ifd.number_of(TAG) {
            Ok(Some(number @ 1..=8)) => Some(Orientation(number as u8)),
            _ => None,
        }
    }

    /// The orientation of Exif data; `None` also when the data cannot be read.
    pub(super) fn of_exif(exif: &[u8]) -> Option<Orientation> {
        Ifd::first(exif).ok().as_ref().and_then(Orientation::of)
    }

    pub(super) fn is_upright(self) -> bool {
        self == Self::UPRIGHT
    }

    /// How many copies of the picture are in memory while it is turned.
    pub(super) fn copies(self) -> u64 {
        if self.is_upright() { 1 } else { 2 }
    }

    /// The samples turned upright, with their width and height.
    pub(super) fn turn<T: Copy>(self, samples: Vec<T>, channels: usize, (width, height): (usize, usize)) -> (Vec<T>, (usize, usize)) {
        if self.is_upright() || samples.is_empty() {
            return (samples, (width, height));
        }
        let (across, down) = if self.0 >= 5 { (height, width) } else { (width, height) };
        let mut turned = Vec::with_capacity(samples.len());
        for y in 0..down {
            for x in 0..across {
                let (from_x, from_y) = match self.0 {
                    2 => (width - 1 - x, y),
                    3 => (width - 1 - x, height - 1 - y),
                    4 => (x, height - 1 - y),
                    5 => (y, x),
                    6 => (y, height - 1 - x),
                    7 => (width - 1 - y, height - 1 - x),
                    _ => (width - 1 - y, x),
                };
                let at = (from_y * width + from_x) * channels;
                turned.extend_from_slice(&samples[at..at + channels]);
            }
        }
        (turned, (across, down))
    }
}
