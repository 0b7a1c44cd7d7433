//! What 8-bit numbers stand for.

/// A map of 8-bit numbers means `(number - zero) · step`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub step: f64,
    pub zero: i64,
}

impl Scale {
    /// Of maps whose values are at least 0 and at most `largest`.
    pub(super) fn from_zero_to(largest: f32) -> Self {
        Scale { step: f64::from(largest) / 255.0, zero: 0 }
    }

    /// Of maps whose values are at most `largest` away from 0.
    pub(super) fn around_zero(largest: f32) -> Self {
        Scale { step: f64::from(largest) / 127.0, zero: 128 }
    }
}
