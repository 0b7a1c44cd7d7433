//! What a decoder is asked for, and what it gives.

use crate::domain::Picture;

/// A decoded file, and what the file says about its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The pixels, gray or RGB, the right way up.
    pub picture: Picture,
    /// Channels as stored: 1 gray, 3 RGB, 4 with alpha (gray with alpha counts as 1). A palette of grays counts as 1 in a BMP.
    pub file_channels: u8,
    /// Bits per sample as stored: 8 (also for fewer, which are expanded) or 16 (also for 9 to 15).
    pub file_bit_depth: u8,
}

/// A picture of the places where another one has defects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefectMask {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height * width` of 0 good, 1 defect.
    pub defect: Vec<u8>,
}

/// The use of the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// The colours alone.
    Picture,
    /// The colours, and where they are visible.
    Mask,
}
