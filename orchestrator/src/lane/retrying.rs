//! The sagas of a lane that are retried with no end in sight, and since when: what an alarm is raised on.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use contract::SagaId;

use crate::names;

/// Sagas with a step that must succeed in the end and has not yet.
#[derive(Debug)]
pub(super) struct Retrying {
    shard: u16,
    by_since: BTreeSet<(DateTime<Utc>, SagaId)>,
    of: HashMap<SagaId, DateTime<Utc>>,
    changed: bool,
}

impl Retrying {
    pub(super) fn new(shard: u16) -> Self {
        Self { shard, by_since: BTreeSet::new(), of: HashMap::new(), changed: false }
    }

    /// Notes since when a saga is retried; `None` when it is not.
    pub(super) fn set(&mut self, saga: SagaId, since: Option<DateTime<Utc>>) {
        let before = match since {
            Some(since) => self.of.insert(saga, since),
            None => self.of.remove(&saga),
        };
        if before == since {
            return;
        }
        if let Some(before) = before {
            self.by_since.remove(&(before, saga));
        }
        if let Some(since) = since {
            self.by_since.insert((since, saga));
        }
        self.changed = true;
    }

    /// Shows them in the metrics, if they have changed.
    pub(super) fn report(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.show();
        }
    }

    fn show(&self) {
        let shard = self.shard.to_string();
        let sagas = u32::try_from(self.of.len()).unwrap_or(u32::MAX);
        metrics::gauge!(names::RETRYING, "shard" => shard.clone()).set(sagas);
        let since = self.by_since.first().map_or(0.0, |(since, _)| names::unix_seconds(*since));
        metrics::gauge!(names::RETRYING_SINCE, "shard" => shard).set(since);
    }
}

impl Drop for Retrying {
    /// The lane ends: the next owner of the shard shows them.
    fn drop(&mut self) {
        self.of.clear();
        self.by_since.clear();
        self.show();
    }
}
