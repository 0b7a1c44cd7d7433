//! What a threshold promises about good parts.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Good parts that will be rejected by their image score, of 1000.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FalseAlarms {
    /// To be expected, on average over all sets of OK images that could have been taken.
    pub expected: f64,
    /// With 95 % confidence it is not more than this.
    pub bound: f64,
}

/// In words.
///
/// ```
/// use patchcored::domain::FalseAlarms;
/// let words = FalseAlarms { expected: 19.6, bound: 58.2 }.to_string();
/// assert_eq!(words, "of 1000 good parts like these about 20 will be rejected (at most 58)");
/// ```
impl fmt::Display for FalseAlarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of 1000 good parts like these about {:.0} will be rejected (at most {:.0})", self.expected, self.bound)
    }
}
