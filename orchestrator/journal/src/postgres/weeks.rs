//! The weeks by which the two large tables are cut, and those of them that have their pieces.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use tokio::sync::watch;
use uuid::Uuid;

const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// 1970 began on a Thursday; weeks begin on Monday.
const FIRST_MONDAY_MS: i64 = 4 * 24 * 60 * 60 * 1000;

/// A week, by its number since the first Monday of 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Week(i64);

impl Week {
    /// The week of a moment.
    pub(super) const fn of_ms(ms: i64) -> Self {
        Self((ms - FIRST_MONDAY_MS).div_euclid(WEEK_MS))
    }

    /// The week of an id: a UUIDv7 starts with 48 bits of milliseconds.
    pub(super) fn of_id(id: Uuid) -> Self {
        Self::of_ms(i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MAX))
    }

    /// The week so many weeks later.
    pub(super) const fn later(self, weeks: i64) -> Self {
        Self(self.0 + weeks)
    }

    /// The lowest id of the week, and that of the next one; none before 1970.
    pub(super) fn ids(self) -> Option<(Uuid, Uuid)> {
        Some((first_id(self.start_ms())?, first_id(self.later(1).start_ms())?))
    }

    /// The name of the week's piece of a table.
    pub(super) fn piece_of(self, table: &str) -> String {
        format!("{table}_{}", self.label())
    }

    /// The week's Monday, as in the names of its pieces.
    pub(super) fn label(self) -> String {
        self.begins_at().format("%Y%m%d").to_string()
    }

    /// The week of such a Monday.
    pub(super) fn of_label(label: &str) -> Option<Self> {
        let monday = NaiveDate::parse_from_str(label, "%Y%m%d").ok()?.and_time(NaiveTime::MIN).and_utc();
        let week = Self::of_ms(monday.timestamp_millis());
        (week.label() == label).then_some(week)
    }

    /// The first moment of the week.
    pub(super) fn begins_at(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.start_ms()).unwrap_or_default()
    }

    /// True when every moment of the week lies before that time.
    pub(super) fn is_over_at(self, at: DateTime<Utc>) -> bool {
        self.later(1).begins_at() <= at
    }

    const fn start_ms(self) -> i64 {
        self.0 * WEEK_MS + FIRST_MONDAY_MS
    }
}

/// The lowest id of a moment.
pub(super) fn first_id(ms: i64) -> Option<Uuid> {
    let ms = u128::try_from(ms).ok().filter(|ms| *ms < 1 << 48)?;
    Some(Uuid::from_u128(ms << 80))
}

/// The weeks whose pieces this process has seen. An append that lies in one of them names its pieces, and touches no
/// other.
#[derive(Debug, Clone, Default)]
pub(super) struct Weeks(watch::Sender<HashSet<Week>>);

impl Weeks {
    pub(super) fn add(&self, week: Week) {
        self.0.send_if_modified(|weeks| weeks.insert(week));
    }

    /// Forgets a week that is retired: its open sagas are found by the tables' own names.
    pub(super) fn forget(&self, week: Week) {
        self.0.send_if_modified(|weeks| weeks.remove(&week));
    }

    /// The week in which all these ids lie, when it has its pieces.
    pub(super) fn common(&self, mut ids: impl Iterator<Item = Uuid>) -> Option<Week> {
        let week = Week::of_id(ids.next()?);
        (ids.all(|id| Week::of_id(id) == week) && self.0.borrow().contains(&week)).then_some(week)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week_of(text: &str) -> Week {
        Week::of_ms(text.parse::<DateTime<Utc>>().unwrap().timestamp_millis())
    }

    #[test]
    fn a_week_runs_from_monday_to_monday() {
        let week = week_of("2026-11-22T23:59:59.999Z");
        assert_eq!(week.piece_of("saga"), "saga_20261116");
        let next = week.later(1);
        assert_eq!(next.piece_of("saga"), "saga_20261123");
        assert_eq!(next.ids().unwrap().0, week.ids().unwrap().1);
        assert_eq!(week_of("2026-11-23T00:00:00Z"), next);
        assert_eq!(Week::of_label("20261116"), Some(week));
        assert_eq!([Week::of_label("20261117"), Week::of_label("default")], [None, None], "no Monday's name");
        assert!(week.is_over_at(next.begins_at()) && !next.is_over_at(next.begins_at()));
    }

    #[test]
    fn an_id_lies_in_the_week_of_its_time() {
        let id = kit::ids::uuid_v7();
        let week = Week::of_ms(kit::clock::system().now().timestamp_millis());
        let (from, to) = week.ids().unwrap();
        assert!(from <= id && id < to);
        assert_eq!(Week::of_id(id), week);
    }

    #[test]
    fn moments_without_ids_have_no_bound() {
        assert_eq!(first_id(-1), None);
        assert_eq!(first_id(1 << 48), None);
    }

    #[test]
    fn a_week_is_common_when_all_ids_lie_in_it_and_it_has_its_pieces() {
        let weeks = Weeks::default();
        let (week, next) = (week_of("2026-11-22T00:00:00Z"), week_of("2026-11-23T00:00:00Z"));
        let [a, b] = [week, next].map(|week| week.ids().unwrap().0);
        assert_eq!(weeks.common([a].into_iter()), None);
        weeks.add(week);
        assert_eq!(weeks.common([a, a].into_iter()), Some(week));
        assert_eq!(weeks.common([a, b].into_iter()), None);
        assert_eq!(weeks.common([b].into_iter()), None);
        assert_eq!(weeks.common([].into_iter()), None);
    }
}
