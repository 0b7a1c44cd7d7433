//! The time of day at the plant. The history has UTC; people read and type local time.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Time zone and shifts of a plant.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalTime {
    zone: TimeZone,
    shifts: Vec<Shift>,
}

/// A shift, which lasts until the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// Its name.
    pub name: String,
    /// When it begins each day, minutes after midnight.
    pub begin_minute: u16,
}

impl LocalTime {
    /// With these shifts, in any order.
    pub fn new(zone: TimeZone, mut shifts: Vec<Shift>) -> Self {
        shifts.sort_by_key(|shift| shift.begin_minute);
        Self { zone, shifts }
    }

    /// The time zone of this machine (`TZ`, else /etc/localtime), without shifts.
    pub fn of_machine() -> Self {
        Self::new(TimeZone::system(), Vec::new())
    }

    /// UTC, with the same shifts.
    pub fn in_utc(self) -> Self {
        Self { zone: TimeZone::UTC, ..self }
    }

    /// The shifts, by their begin.
    pub fn shifts(&self) -> &[Shift] {
        &self.shifts
    }

    /// A time of the history (`2026-11-23T08:42:00.123Z`) as people at the plant read it: `2026-11-23T17:42:00.123+09:00`. Where UTC is the
    /// local time, and for a text that is no time, the text itself.
    pub fn show(&self, utc: &str) -> String {
        let local =
            utc.parse::<Timestamp>().ok().map(|time| time.to_zoned(self.zone.clone())).filter(|local| local.offset().seconds() != 0);
        local.map_or(utc.to_owned(), |local| local.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string())
    }

    /// The moment that a clock at the plant shows as this; `None` when no such moment exists.
    pub fn moment(&self, shown: DateTime) -> Option<Timestamp> {
        Some(shown.to_zoned(self.zone.clone()).ok()?.timestamp())
    }

    /// The begin of the day at the plant, so many days before today.
    pub fn day_begin(&self, now: Timestamp, days_before: i32) -> Option<Timestamp> {
        let day = now.to_zoned(self.zone.clone()).date().checked_sub(days_before.days()).ok()?;
        self.moment(day.to_datetime(Time::midnight()))
    }

    /// The begin of the shift at this moment; `None` without shifts.
    pub fn shift_begin(&self, now: Timestamp) -> Option<Timestamp> {
        let local = now.to_zoned(self.zone.clone());
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        let running = self.shifts.iter().rev().find(|shift| shift.begin_minute <= minute);
        let (day, shift): (Date, &Shift) = match running {
            Some(shift) => (local.date(), shift),
            // Before the first shift of the day, the last one of the day before goes on.
            None => (local.date().checked_sub(1.day()).ok()?, self.shifts.last()?),
        };
        let (hour, minute) = (shift.begin_minute / 60, shift.begin_minute % 60);
        self.moment(day.to_datetime(Time::new(hour as i8, minute as i8, 0, 0).ok()?))
    }

    /// From when on the clock at the plant is how many seconds ahead of UTC, oldest first. The first entry holds for all times before too.
    pub fn offsets(&self, from: Timestamp, until: Timestamp) -> Vec<(Timestamp, i32)> {
        let changes = self.zone.following(from).take_while(|change| change.timestamp() < until);
        let changes = changes.map(|change| (change.timestamp(), change.offset().seconds()));
        std::iter::once((from, self.zone.to_offset(from).seconds())).chain(changes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn plant(zone: &str, shifts: &[(&str, u16)]) -> LocalTime {
        let shifts = shifts.iter().map(|(name, begin_minute)| Shift { name: (*name).into(), begin_minute: *begin_minute });
        LocalTime::new(TimeZone::get(zone).unwrap(), shifts.collect())
    }

    #[test]
    fn times_are_shown_as_a_clock_at_the_plant_shows_them() {
        assert_eq!(plant("Asia/Seoul", &[]).show("2026-11-23T15:42:00.123Z"), "2026-11-24T00:42:00.123+09:00");
        assert_eq!(plant("UTC", &[]).show("2026-11-23T15:42:00.123Z"), "2026-11-23T15:42:00.123Z");
        assert_eq!(plant("Asia/Seoul", &[]).show("long ago"), "long ago");
        assert_eq!(plant("Asia/Seoul", &[]).in_utc().show("2026-11-23T15:42:00.123Z"), "2026-11-23T15:42:00.123Z");
    }

    #[test]
    fn a_day_and_a_shift_begin_at_the_plant() {
        let plant = plant("Asia/Seoul", &[("night", 22 * 60), ("early", 6 * 60), ("late", 14 * 60)]);
        // 00:42 on the 24th.
        let now = at("2026-11-23T15:42:00Z");
        assert_eq!(plant.day_begin(now, 0), Some(at("2026-11-23T15:00:00Z")));
        assert_eq!(plant.day_begin(now, 1), Some(at("2026-11-22T15:00:00Z")));
        assert_eq!(plant.shift_begin(now), Some(at("2026-11-23T13:00:00Z")), "the night that began at 22:00 on the 23rd");
        assert_eq!(plant.shift_begin(at("2026-11-23T05:00:00Z")), Some(at("2026-11-23T05:00:00Z")));
        assert_eq!(LocalTime::new(TimeZone::UTC, Vec::new()).shift_begin(now), None);
    }

    #[test]
    fn offsets_have_every_change_of_the_clocks() {
        let year = |zone: &str| plant(zone, &[]).offsets(at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        assert_eq!(year("Asia/Seoul"), [(at("2026-01-01T00:00:00Z"), 9 * 3600)]);
        let berlin = [("2026-01-01T00:00:00Z", 3600), ("2026-03-29T01:00:00Z", 7200), ("2026-10-25T01:00:00Z", 3600)];
        assert_eq!(year("Europe/Berlin"), berlin.map(|(time, offset)| (at(time), offset)));
    }
}
