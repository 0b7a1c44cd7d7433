//! Bytes of an image file. What is decoded must be whole and of the size that it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchcored::codes::ReasonCode;
use patchcored::imaging::decode::{DecodeLimits, decode};
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    // The last byte, which no format needs, chooses the declared depth.
    let bit_depth = data.last().and_then(|last| [None, Some(8), Some(12), Some(16)][usize::from(last % 4)]);
    let result = decode(Path::new("fuzz"), data, &DecodeLimits { max_pixels: 1 << 20 }, bit_depth);
    // A panic becomes an error of the file, and is one all the same.
    assert!(!matches!(&result, Err(error) if error.reason_code() == ReasonCode::DecoderPanicked));
    if let Ok(decoded) = result {
        let picture = decoded.picture;
        assert!(u64::from(picture.width) * u64::from(picture.height) <= 1 << 20);
        assert!(picture.width > 0 && picture.height > 0);
    }
});
