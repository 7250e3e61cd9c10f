//! The due times of a lane's sagas, one a saga; the lane sleeps until the first.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use contract::SagaId;

use crate::names;

/// The due times of a lane's sagas.
#[derive(Debug)]
pub(super) struct Timers {
    shard: u16,
    by_due: BTreeSet<(DateTime<Utc>, SagaId)>,
    of: HashMap<SagaId, DateTime<Utc>>,
}

impl Timers {
    pub(super) fn new(shard: u16) -> Self {
        Self { shard, by_due: BTreeSet::new(), of: HashMap::new() }
    }

    /// Replaces the saga's due time; `None` forgets it.
    pub(super) fn set(&mut self, saga: SagaId, due: Option<DateTime<Utc>>) {
        let before = match due {
            Some(due) => self.of.insert(saga, due),
            None => self.of.remove(&saga),
        };
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.by_due.remove(&(before, saga));
        }
        if let Some(due) = due {
            self.by_due.insert((due, saga));
        }
    }

    /// The earliest due time.
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Takes out the sagas that are due, earliest first, at most `max`.
    pub(super) fn take_due(&mut self, now: DateTime<Utc>, max: usize) -> Vec<SagaId> {
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

    #[test]
    fn a_saga_has_one_due_time_and_is_taken_once() {
        let start = DateTime::UNIX_EPOCH;
        let at = |seconds| start + TimeDelta::seconds(seconds);
        let [a, b] = [kit::ids::saga_id(0, 1), kit::ids::saga_id(0, 1)];
        let mut timers = Timers::new(0);
        timers.set(a, Some(at(5)));
        timers.set(b, Some(at(3)));
        timers.set(a, Some(at(2)));
        assert_eq!((timers.next(), timers.of.len()), (Some(at(2)), 2));
        assert_eq!(timers.take_due(at(1), 10), []);
        assert_eq!(timers.take_due(at(3), 1), [a]);
        assert_eq!(timers.take_due(at(3), 10), [b]);
        assert_eq!((timers.next(), timers.of.len()), (None, 0));
        timers.set(a, Some(at(1)));
        timers.set(a, None);
        assert_eq!(timers.next(), None);
    }
}
