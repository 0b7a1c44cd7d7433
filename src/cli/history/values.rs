//! The values of `patchcored history`'s arguments: a moment, and a distance from tau.

use crate::codes::ReasonCode;
use crate::domain::duration::parse_duration;
use crate::history::Distance;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::time::Duration;

/// A moment: so long ago, or a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// `24h` ago.
    Ago(Duration),
    /// `2026-11-23T08:00Z`.
    At(Timestamp),
}

impl Moment {
    /// As a point in time; `None` when it reaches back too far.
    pub fn resolve(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Ago(duration) => now.checked_sub(duration).ok(),
            Self::At(time) => Some(time),
        }
    }
}

/// `24h`, `2026-11-23T08:00Z`, `2026-11-23T08:00+01:00`, and without an offset UTC: `2026-11-23 08:00`, `2026-11-23`.
pub fn parse_moment(text: &str) -> Result<Moment, String> {
    if let Ok(duration) = parse_duration(text) {
        return Ok(Moment::Ago(duration));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(Moment::At(time));
    }
    let utc = text.parse::<DateTime>().and_then(|time| time.to_zoned(TimeZone::UTC));
    let wrong = |_| "is neither a duration, as 24h, nor a time, as 2026-11-23T08:00Z".to_owned();
    utc.map(|zoned| Moment::At(zoned.timestamp())).map_err(wrong)
}

/// `0.5`, in the unit of the scores, or `5%` of tau.
pub fn parse_distance(text: &str) -> Result<Distance, String> {
    let (number, percent) = text.strip_suffix('%').map_or((text, false), |number| (number.trim_end(), true));
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() && percent => Ok(Distance::OfTau(value / 100.0)),
        Ok(value) if value.is_finite() => Ok(Distance::Score(value)),
        _ => Err("is neither a number, in the unit of the scores, nor a share of tau, as 5%".to_owned()),
    }
}

/// The code of a reason.
pub fn parse_reason(text: &str) -> Result<ReasonCode, String> {
    let known = ReasonCode::ALL.iter().copied().find(|code| code.as_str() == text);
    known.ok_or_else(|| "is no code of a reason; `patchcored explain` lists them".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let at = |text: &str| Ok(Moment::At(text.parse().unwrap()));
        assert_eq!(parse_moment("24h"), Ok(Moment::Ago(Duration::from_secs(86_400))));
        assert_eq!(parse_moment("2026-11-23T08:00Z"), at("2026-11-23T08:00:00Z"));
        assert_eq!(parse_moment("2026-11-23T08:42:00.123Z"), at("2026-11-23T08:42:00.123Z"));
        assert_eq!(parse_moment("2026-11-23T09:00+01:00"), at("2026-11-23T08:00:00Z"));
        assert_eq!(parse_moment("2026-11-23 08:00"), at("2026-11-23T08:00:00Z"));
        assert_eq!(parse_moment("2026-11-23"), at("2026-11-23T00:00:00Z"));
        for bad in ["", "yesterday", "24", "2026-13-01", "23.11.2026"] {
            assert!(parse_moment(bad).is_err(), "{bad}");
        }
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        assert_eq!(Moment::Ago(Duration::from_secs(3600)).resolve(now), Some("2026-11-23T07:00:00Z".parse().unwrap()));
        assert_eq!(Moment::Ago(Duration::from_secs(u64::MAX / 2)).resolve(now), None);
    }

    #[test]
    fn distances() {
        assert_eq!(parse_distance("0.5"), Ok(Distance::Score(0.5)));
        assert_eq!(parse_distance("-3"), Ok(Distance::Score(-3.0)));
        assert_eq!(parse_distance("5%"), Ok(Distance::OfTau(0.05)));
        assert_eq!(parse_distance("-12.5 %"), Ok(Distance::OfTau(-0.125)));
        for bad in ["", "%", "x", "nan", "inf%"] {
            assert!(parse_distance(bad).is_err(), "{bad}");
        }
    }
}
