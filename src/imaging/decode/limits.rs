//! How large a picture may be, and how much memory reading it may take.

use super::fault::Fault;
use crate::codes::ReasonCode;

/// The limits of a file. The decoder checks them against the header, before it allocates any pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The most pixels (width × height) that are accepted.
    pub max_pixels: u64,
}

impl DecodeLimits {
    /// Refuses a picture above `max_pixels`, and an empty one: no encoder writes it, but a half-written header shows it.
    pub(super) fn check(&self, width: u32, height: u32) -> Result<(), Fault> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 {
            return Err(Fault::Incomplete(format!("is {width}x{height} pixels: its header has not been written in full")));
        }
        if pixels > self.max_pixels {
            let text = format!(
                "is {width}x{height} = {:.1} megapixels, above the {:.1} allowed; raise intake.max_megapixels if that is right",
                pixels as f64 / 1e6,
                self.max_pixels as f64 / 1e6
            );
            return Err(Fault::Rejected(ReasonCode::TooLarge, text));
        }
        Ok(())
    }

    /// The most bytes that reading a picture may take, its file included: 16-bit RGB of the largest size as an uncompressed file and as
    /// pixels, and room for tables. 8-bit RGB and 16-bit gray of that size need less in every format.
    pub(super) fn memory(&self) -> u64 {
        self.max_pixels.saturating_mul(12).saturating_add(16 << 20)
    }

    /// Refuses a picture whose decoding takes more than [`DecodeLimits::memory`].
    pub(super) fn check_memory(&self, needed: u64) -> Result<(), Fault> {
        if needed > self.memory() { Err(self.too_much_memory(needed)) } else { Ok(()) }
    }

    /// A picture whose decoding would take `needed` bytes.
    pub(super) fn too_much_memory(&self, needed: u64) -> Fault {
        let text = format!(
            "needs {} MB of memory to be read, above the {} MB for {:.1} megapixels; save it with 8 bits per sample, without alpha and not \
             interlaced, or raise intake.max_megapixels",
            needed / 1_000_000,
            self.memory() / 1_000_000,
            self.max_pixels as f64 / 1e6,
        );
        Fault::Rejected(ReasonCode::TooLarge, text)
    }
}
