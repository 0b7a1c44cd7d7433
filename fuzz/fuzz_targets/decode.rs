//! Bytes of an image file. What is decoded must be whole and of the size that it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchcored::imaging::decode::{DecodeLimits, decode};
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    // The last byte, which no format needs, chooses the declared depth.
    let bit_depth = data.last().and_then(|last| [None, Some(8), Some(12), Some(16)][usize::from(last % 4)]);
    if let Ok(decoded) = decode(Path::new("fuzz"), data, &DecodeLimits { max_pixels: 1 << 20 }, bit_depth) {
        let picture = decoded.picture;
        assert!(u64::from(picture.width) * u64::from(picture.height) <= 1 << 20);
        assert!(picture.width > 0 && picture.height > 0);
    }
});
