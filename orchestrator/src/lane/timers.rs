//! The due times of a lane's sagas, one a saga; the lane sleeps until the first.
//!
//! They are kept on the monotonic clock: a wall clock that is set forward makes nothing overdue, and one that is set back
//! makes nothing hang.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use contract::SagaId;
use kit::clock::Clock;
use tokio::time::Instant;

use crate::names;

/// A timer further away than this is set again when it fires.
const AWAY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) wall: DateTime<Utc>,
    pub(super) steady: Instant,
}

impl Now {
    pub(super) fn read(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), steady: Instant::now() }
    }

    /// The time that the wall clock showed, or is going to show, at a moment of the monotonic clock.
    pub(super) fn wall_at(&self, moment: Instant) -> DateTime<Utc> {
        match moment.checked_duration_since(self.steady) {
            Some(ahead) => self.wall + ahead,
            None => self.wall - (self.steady - moment),
        }
    }

    /// The moment of the monotonic clock at which the wall clock shows `due`, if nobody sets it.
    fn steady_at(&self, due: DateTime<Utc>) -> Instant {
        let away = (due - self.wall).to_std().unwrap_or(Duration::ZERO);
        self.steady + away.min(AWAY_MAX)
    }
}

/// The due times of a lane's sagas.
#[derive(Debug)]
pub(super) struct Timers {
    shard: u16,
    by_due: BTreeSet<(Instant, SagaId)>,
    /// The due time as the saga has it, and on the monotonic clock.
    of: HashMap<SagaId, (DateTime<Utc>, Instant)>,
}

impl Timers {
    pub(super) fn new(shard: u16) -> Self {
        Self { shard, by_due: BTreeSet::new(), of: HashMap::new() }
    }

    /// Replaces the saga's due time; `None` forgets it.
    pub(super) fn set(&mut self, saga: SagaId, due: Option<DateTime<Utc>>, now: Now) {
        let before = self.of.get(&saga).copied();
        if before.map(|(due, _)| due) == due {
            return;
        }
        if let Some((_, at)) = before {
            self.of.remove(&saga);
            self.by_due.remove(&(at, saga));
        }
        if let Some(due) = due {
            let at = now.steady_at(due);
            self.of.insert(saga, (due, at));
            self.by_due.insert((at, saga));
        }
    }

    /// The saga's due time.
    pub(super) fn due(&self, saga: SagaId) -> Option<DateTime<Utc>> {
        self.of.get(&saga).map(|(due, _)| *due)
    }

    /// The earliest due time.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Takes out the sagas that are due, earliest first, at most `max`.
    pub(super) fn take_due(&mut self, now: Instant, max: usize) -> Vec<SagaId> {
        let mut due = Vec::new();
        while due.len() < max
            && let Some((at, saga)) = self.by_due.first().copied()
            && at <= now
        {
            self.by_due.pop_first();
            self.of.remove(&saga);
            due.push(saga);
        }
        due
    }

    /// Shows in the metrics how many timers the lane holds.
    pub(super) fn report(&self) {
        self.show(u32::try_from(self.of.len()).unwrap_or(u32::MAX));
    }

    fn show(&self, timers: u32) {
        metrics::gauge!(names::TIMERS, "shard" => self.shard.to_string()).set(timers);
    }
}

impl Drop for Timers {
    /// The lane ends: this process holds no timers of the shard any more.
    fn drop(&mut self) {
        self.show(0);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn wall(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn a_saga_has_one_due_time_and_is_taken_once() {
        let begin = Instant::now();
        let now = Now { wall: wall(0), steady: begin };
        let steady = |seconds| begin + Duration::from_secs(seconds);
        let [a, b] = [kit::ids::saga_id(0, 1), kit::ids::saga_id(0, 1)];
        let mut timers = Timers::new(0);
        timers.set(a, Some(wall(5)), now);
        timers.set(b, Some(wall(3)), now);
        timers.set(a, Some(wall(2)), now);
        assert_eq!((timers.next(), timers.of.len()), (Some(steady(2)), 2));
        assert_eq!(timers.take_due(steady(1), 10), []);
        assert_eq!(timers.take_due(steady(3), 1), [a]);
        assert_eq!(timers.take_due(steady(3), 10), [b]);
        assert_eq!((timers.next(), timers.of.len()), (None, 0));
        timers.set(a, Some(wall(1)), now);
        timers.set(a, None, now);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_wall_clock_that_is_set_forward_or_back_moves_no_timer() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let saga = kit::ids::saga_id(0, 1);
        let mut timers = Timers::new(0);
        timers.set(saga, Some(wall(1_005)), Now { wall: wall(1_000), steady: begin });
        for set_to in [2_000, 0] {
            timers.set(saga, Some(wall(1_005)), Now { wall: wall(set_to), steady: after(1) });
            assert_eq!(timers.next(), Some(after(5)));
        }
    }
}
