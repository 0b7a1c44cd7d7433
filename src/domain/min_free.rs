//! An amount of free disk space as `10%`, `500MB`, `20GB` or `2TB`.

use std::fmt;
use std::str::FromStr;

/// Free space to keep on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinFree {
    /// Relative to the size of the disk.
    Percent(u32),
    /// For a disk of any size.
    Bytes(u64),
}

impl MinFree {
    /// The form of the text as a regular expression.
    pub fn pattern() -> String {
        format!("[0-9]+(%|{})", UNITS.map(|(unit, _)| unit).join("|"))
    }

    /// Bytes to keep free on a disk of `total` bytes.
    pub fn bytes_of(self, total: u64) -> u64 {
        match self {
            Self::Percent(percent) => total / 100 * u64::from(percent),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl fmt::Display for MinFree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Bytes(bytes) => match UNITS.iter().find(|(_, factor)| *bytes >= *factor && bytes.is_multiple_of(*factor)) {
                Some((unit, factor)) => write!(f, "{}{unit}", bytes / factor),
                None => write!(f, "{bytes} bytes"),
            },
        }
    }
}

/// Decimal units, as on the label of a disk.
const UNITS: [(&str, u64); 3] = [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000)];

/// A text that is not an amount of disk space. The message shows examples.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no amount of disk space; write a whole number and a unit: 10%, 500MB, 20GB or 2TB")]
pub struct MinFreeError(pub String);

impl FromStr for MinFree {
    type Err = MinFreeError;

    fn from_str(text: &str) -> Result<Self, MinFreeError> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let wrong = || MinFreeError(text.to_owned());
        if unit == "%" {
            return number.parse().map(Self::Percent).map_err(|_| wrong());
        }
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor)).map(Self::Bytes).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_space_is_a_share_or_an_amount() {
        for (text, space) in
            [("10%", MinFree::Percent(10)), ("20GB", MinFree::Bytes(20_000_000_000)), ("500MB", MinFree::Bytes(500_000_000))]
        {
            assert_eq!(text.parse(), Ok(space));
            assert_eq!(space.to_string(), text);
        }
        for text in ["", "20", "20G", "1.5GB", "-1%", "% 5", "20 GB", "99999999999999999999GB", "18446744073TB"] {
            assert!(text.parse::<MinFree>().unwrap_err().to_string().contains("20GB"), "{text}");
        }
        assert_eq!(MinFree::Percent(10).bytes_of(1000), 100);
        assert_eq!(MinFree::Bytes(7).bytes_of(1000), 7);
    }
}
