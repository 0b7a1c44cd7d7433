//! The values of `patchcored history`'s arguments: a moment, and a distance from tau.

use crate::codes::ReasonCode;
use crate::domain::LocalTime;
use crate::domain::duration::parse_duration;
use crate::history::Distance;
use jiff::Timestamp;
use jiff::civil::DateTime;
use std::time::Duration;

/// A moment: so long ago, a point in time, or the begin of a day or a shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// `24h` ago.
    Ago(Duration),
    /// `2026-11-23T08:00Z`.
    At(Timestamp),
    /// `2026-11-23 08:00` by the clock at the plant.
    Shown(DateTime),
    /// The begin of today, at the plant.
    Today,
    /// The begin of yesterday.
    Yesterday,
    /// The begin of the shift that is at work.
    Shift,
}

impl Moment {
    /// As a point in time.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn resolve(self, now: Timestamp, local: &LocalTime) -> Result<Timestamp, &'static str> {
        let far = "reaches back too far";
        match self {
            Self::Ago(duration) => now.checked_sub(duration).map_err(|_| far),
            Self::At(time) => Ok(time),
            Self::Shown(shown) => local.moment(shown).ok_or("is no time of the time zone"),
            Self::Today => local.day_begin(now, 0).ok_or(far),
            Self::Yesterday => local.day_begin(now, 1).ok_or(far),
            Self::Shift => local.shift_begin(now).ok_or("needs `shifts:` in the configuration"),
        }
    }
}

/// `24h`, `today`, `yesterday`, `shift`, `2026-11-23T08:00Z`, `2026-11-23T08:00+09:00`, and by the clock at the plant `2026-11-23 08:00`,
/// `2026-11-23`.
pub fn parse_moment(text: &str) -> Result<Moment, String> {
    match text {
        "today" => return Ok(Moment::Today),
        "yesterday" => return Ok(Moment::Yesterday),
        "shift" => return Ok(Moment::Shift),
        _ => {}
    }
    if let Ok(duration) = parse_duration(text) {
        return Ok(Moment::Ago(duration));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(Moment::At(time));
    }
    text.parse::<DateTime>().map(Moment::Shown).map_err(|_| {
        "is neither a duration, as 24h, nor today, yesterday or shift, nor a time, as 2026-11-23 08:00 (local) or 2026-11-23T08:00Z"
            .to_owned()
    })
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
        for bad in ["", "Today", "24", "2026-13-01", "23.11.2026"] {
            assert!(parse_moment(bad).is_err(), "{bad}");
        }
        let seoul = LocalTime::new(jiff::tz::TimeZone::get("Asia/Seoul").unwrap(), Vec::new());
        let now: Timestamp = "2026-11-23T18:00:00Z".parse().unwrap();
        let resolved = |text: &str| parse_moment(text).unwrap().resolve(now, &seoul).map(|time| time.to_string());
        assert_eq!(resolved("1h").unwrap(), "2026-11-23T17:00:00Z");
        assert_eq!(resolved("2026-11-23 08:00").unwrap(), "2026-11-22T23:00:00Z");
        assert_eq!(resolved("2026-11-23").unwrap(), "2026-11-22T15:00:00Z");
        assert_eq!(resolved("today").unwrap(), "2026-11-23T15:00:00Z");
        assert_eq!(resolved("yesterday").unwrap(), "2026-11-22T15:00:00Z");
        assert_eq!(resolved("shift"), Err("needs `shifts:` in the configuration"));
        assert_eq!(Moment::Ago(Duration::from_secs(u64::MAX / 2)).resolve(now, &seoul), Err("reaches back too far"));
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
