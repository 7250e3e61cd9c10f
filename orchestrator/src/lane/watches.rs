//! The orchestrators that want to hear of a saga's commits. They ask again for as long as they watch, so that a lost
//! lane or a lost watcher needs no goodbye.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contract::SagaId;

/// Watched sagas of one lane. Past it a watcher is not told and reads at its own pace.
const WATCHES_MAX: usize = 10_000;

/// The watched sagas of a lane.
#[derive(Debug, Default)]
pub(super) struct Watches(HashMap<SagaId, Vec<(String, DateTime<Utc>)>>);

impl Watches {
    /// Notes a watcher until a time, or renews it: true when it was noted before.
    pub(super) fn add(&mut self, saga: SagaId, queue: String, until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        if self.0.len() >= WATCHES_MAX {
            self.0.retain(|_, queues| {
                queues.retain(|(_, until)| *until > now);
                !queues.is_empty()
            });
        }
        if self.0.len() >= WATCHES_MAX && !self.0.contains_key(&saga) {
            return false;
        }
        let queues = self.0.entry(saga).or_default();
        queues.retain(|(_, until)| *until > now);
        let before = queues.len();
        queues.retain(|(known, _)| *known != queue);
        let renewed = queues.len() < before;
        queues.push((queue, until));
        renewed
    }

    /// Whether another process wants to hear of this saga now.
    pub(super) fn has(&self, saga: SagaId, now: DateTime<Utc>) -> bool {
        self.0.get(&saga).is_some_and(|queues| queues.iter().any(|(_, until)| *until > now))
    }

    /// The queues that want to hear of this saga now.
    pub(super) fn of(&mut self, saga: SagaId, now: DateTime<Utc>) -> &[(String, DateTime<Utc>)] {
        if self.0.is_empty() {
            return &[];
        }
        if let Some(queues) = self.0.get_mut(&saga) {
            queues.retain(|(_, until)| *until > now);
            if queues.is_empty() {
                self.0.remove(&saga);
            }
        }
        self.0.get(&saga).map_or(&[], Vec::as_slice)
    }

    /// Nothing more will happen to this saga.
    pub(super) fn forget(&mut self, saga: SagaId) {
        self.0.remove(&saga);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_watcher_is_told_once_until_its_time_is_over() {
        let now = DateTime::UNIX_EPOCH;
        let saga = kit::ids::saga_id(0, 1);
        let mut watches = Watches::default();
        assert!(!watches.add(saga, "a".to_owned(), now + TimeDelta::seconds(5), now));
        assert!(watches.add(saga, "a".to_owned(), now + TimeDelta::seconds(9), now));
        assert!(!watches.add(saga, "b".to_owned(), now + TimeDelta::seconds(3), now));
        assert_eq!(watches.of(saga, now).len(), 2);
        assert_eq!(watches.of(saga, now + TimeDelta::seconds(6)).len(), 1);
        assert!(watches.of(saga, now + TimeDelta::seconds(9)).is_empty());
        assert!(watches.0.is_empty());
    }
}
