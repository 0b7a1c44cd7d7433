//! Durations as `500ms`, `30s`, `10m`, `24h`, `14d`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const EXAMPLES: &str = "write a whole number and a unit: 500ms, 30s, 10m, 24h or 14d";

/// A text that is not a duration. The message shows examples.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text does not consist of a whole number and a known unit.
    #[error("`{0}` is not a duration; {EXAMPLES}")]
    NotADuration(String),
    /// The unit is missing.
    #[error("`{0}` has no unit; {EXAMPLES}")]
    NoUnit(String),
    /// The number is too large.
    #[error("`{0}` is too long; {EXAMPLES}")]
    TooLong(String),
}

/// Reads a whole number with a unit: `500ms`, `30s`, `10m`, `24h`, `14d`.
///
/// ```
/// use patchcored::domain::duration::parse_duration;
/// use std::time::Duration;
/// assert_eq!(parse_duration("30s").ok(), Some(Duration::from_secs(30)));
/// assert!(parse_duration("30").is_err_and(|error| error.to_string().starts_with("`30` has no unit")));
/// ```
///
/// # Errors
/// When the text is not a duration.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(DurationError::NotADuration(text.to_owned()));
    }
    if unit.is_empty() {
        return Err(DurationError::NoUnit(text.to_owned()));
    }
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(DurationError::NotADuration(text.to_owned()));
    };
    let millis = number.parse::<u64>().ok().and_then(|n| n.checked_mul(*factor));
    millis.map(Duration::from_millis).ok_or_else(|| DurationError::TooLong(text.to_owned()))
}

/// The form of a duration as a regular expression.
pub fn pattern() -> String {
    format!("[0-9]+({})", UNITS.map(|(name, _)| name).join("|"))
}

/// Writes a duration so that [`parse_duration`] can read it, in the largest unit that gives a whole number (but one day is `24h`). Parts
/// below 1 ms are dropped.
pub fn show(duration: Duration) -> String {
    let millis = duration.as_millis() as u64;
    let whole =
        UNITS.iter().find(|(unit, factor)| millis >= *factor && millis.is_multiple_of(*factor) && (*unit != "d" || millis > *factor));
    whole.map_or_else(|| "0s".to_owned(), |(unit, factor)| format!("{}{unit}", millis / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units() {
        for (text, millis) in [("500ms", 500), ("30s", 30_000), ("10m", 600_000), ("24h", 86_400_000), ("14d", 1_209_600_000), ("0s", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
        assert_eq!(parse_duration("1d"), parse_duration("24h"));
        assert_eq!(show(Duration::from_millis(90_000)), "90s");
        assert_eq!(show(Duration::from_millis(1_500)), "1500ms");
    }

    #[test]
    fn errors_show_examples() {
        for (text, part) in [
            ("30", "no unit"),
            ("", "not a duration"),
            ("s", "not a duration"),
            ("1.5s", "not a duration"),
            ("-1s", "not a duration"),
            ("30 s", "not a duration"),
            ("30S", "not a duration"),
            ("1w", "not a duration"),
            ("99999999999999999999s", "too long"),
            ("18446744073709551615h", "too long"),
        ] {
            let error = parse_duration(text).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("500ms"), "{text}: {error}");
        }
    }
}
