//! `time_zone:` and `shifts:`: the time of day at the plant.

use crate::config::collector::Problems;
use crate::config::values::read_text;
use crate::domain::{LocalTime, Shift};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A time of day in whole minutes.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct TimeOfDay(u16);

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, "a time of day in quotes, as \"06:00\"", |text| {
            let time = Time::strptime("%H:%M", text).map_err(|_| format!("`{text}` is no time of day; write it as \"06:00\""))?;
            Ok::<_, String>(Self(time.hour() as u16 * 60 + time.minute() as u16))
        })
    }
}

impl JsonSchema for TimeOfDay {
    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"title": "HH:MM", "type": "string", "pattern": "^([01]?[0-9]|2[0-3]):[0-5][0-9]$"})
    }
}

/// Checks both.
pub(in crate::config) fn check(zone: Option<&str>, shifts: BTreeMap<String, TimeOfDay>, problems: &mut Problems) -> LocalTime {
    let zone = zone.map_or_else(TimeZone::system, |name| {
        TimeZone::get(name).unwrap_or_else(|_| {
            problems.add("time_zone", format!("`{name}` is no time zone of this machine; write it as Asia/Seoul, Europe/Berlin or UTC"));
            TimeZone::UTC
        })
    });
    let mut begins: BTreeMap<u16, &str> = BTreeMap::new();
    for (name, TimeOfDay(begin)) in &shifts {
        if let Some(other) = begins.insert(*begin, name) {
            problems.add(format!("shifts.{name}"), format!("begins when `{other}` begins; give each shift its own time"));
        }
    }
    LocalTime::new(zone, shifts.into_iter().map(|(name, TimeOfDay(begin_minute))| Shift { name, begin_minute }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> (LocalTime, String) {
        let shifts = serde_yaml::from_str(text).unwrap();
        let mut problems = Problems::new(Vec::new(), None);
        let local = check(Some("Asia/Seoul"), shifts, &mut problems);
        (local, problems.into_found().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn shifts_begin_at_times_of_their_own() {
        let (local, problems) = checked("{night: '22:00', early: '6:00', late: '14:30'}");
        let begins: Vec<(&str, u16)> = local.shifts().iter().map(|shift| (shift.name.as_str(), shift.begin_minute)).collect();
        assert_eq!((begins, problems.as_str()), (vec![("early", 360), ("late", 870), ("night", 1320)], ""));
        let (_, problems) = checked("{a: '06:00', b: '06:00'}");
        assert!(problems.contains("shifts.b: begins when `a` begins"), "{problems}");
        for wrong in ["{a: '24:00'}", "{a: noon}", "{a: 6}"] {
            assert!(serde_yaml::from_str::<BTreeMap<String, TimeOfDay>>(wrong).is_err(), "{wrong}");
        }
    }
}
