//! The numbers that people look at: part of the port. They are counted when they are asked for, over indexes, so that nothing
//! is kept beside the sagas that could differ from them.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    SagaId,
    orchestrator_api::{AGES_SECONDS, AgeGroup, Durations, SagaCounts, SagaGroup, SagaSince},
    saga::SagaStatus,
};

use crate::{error::JournalError, filter::Filter};

/// The figures as one process sees them.
#[async_trait]
pub trait Figures: Send + Sync {
    /// The sagas that a filter lets through, counted. `now` tells their ages.
    async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> Result<SagaCounts, JournalError>;

    /// The sagas that ended, by interval; intervals without any are left out.
    async fn ended(&self, asked: &EndedAsked) -> Result<Vec<Ended>, JournalError>;

    /// The owners of the shards, and the storage's own clock.
    async fn owners(&self) -> Result<Owners, JournalError>;
}

/// The part of the ended sagas that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedAsked {
    /// The begin of the first interval.
    pub from: DateTime<Utc>,
    /// The number of intervals.
    pub intervals: u32,
    /// The length of each.
    pub interval_seconds: u32,
    /// At most so many sagas are counted: the newest.
    pub limit: u32,
}

impl EndedAsked {
    /// The end of the last interval.
    pub(crate) fn to(&self) -> DateTime<Utc> {
        self.from + TimeDelta::seconds(i64::from(self.intervals) * i64::from(self.interval_seconds))
    }
}

/// The sagas that ended in one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The place of the interval, from 0.
    pub interval: u32,
    /// Those that were completed.
    pub completed: u64,
    /// Those that were undone.
    pub compensated: u64,
    /// Those that were abandoned.
    pub abandoned: u64,
    /// How long they took.
    pub durations: Durations,
}

/// The owners of the shards, as they noted themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners {
    /// The time by the storage's own clock, if it has one.
    pub now: Option<DateTime<Utc>>,
    /// The last owner of each shard that ever had one.
    pub shards: Vec<ShardOwner>,
}

/// The last owner of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardOwner {
    /// The number of the shard.
    pub shard: u16,
    /// The name of the process.
    pub instance: String,
    /// The time since which it owns the shard.
    pub since: DateTime<Utc>,
}

/// Sagas of one definition, version, status and age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) status: SagaStatus,
    /// The place in [`AGES_SECONDS`].
    pub(crate) age: usize,
    pub(crate) sagas: u64,
    /// The first of them, while they are open.
    pub(crate) first: Option<(DateTime<Utc>, SagaId)>,
}

/// The times from which sagas have each age but the first, the latest one first.
pub(crate) fn age_bounds(now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    AGES_SECONDS[1..].iter().map(|seconds| now - TimeDelta::seconds(i64::from(*seconds))).collect()
}

/// The counts, put together.
pub(crate) fn put_together(mut counted: Vec<Counted>, quarantined: u64) -> SagaCounts {
    counted.sort_by(|one, other| {
        let key =
            |counted: &Counted| (counted.version, SagaStatus::ALL.iter().position(|known| *known == counted.status));
        one.name.cmp(&other.name).then(key(one).cmp(&key(other)))
    });
    let mut ages = AGES_SECONDS.map(|from_seconds| AgeGroup { from_seconds, sagas: 0 });
    let mut groups: Vec<SagaGroup> = Vec::new();
    let mut oldest: Option<(DateTime<Utc>, SagaId)> = None;
    for Counted { name, version, status, age, sagas, first } in counted {
        if !status.is_final() {
            if let Some(group) = ages.get_mut(age) {
                group.sagas += sagas;
            }
            oldest = oldest.into_iter().chain(first).min();
        }
        match groups.last_mut() {
            Some(group) if (group.version, group.status) == (version, status) && group.name == name => {
                group.sagas += sagas;
            }
            Some(_) | None => groups.push(SagaGroup { name, version, status, sagas }),
        }
    }
    SagaCounts {
        sagas: groups.iter().map(|group| group.sagas).sum(),
        groups,
        ages: ages.into(),
        quarantined,
        oldest_open: oldest.map(|(created_at, id)| SagaSince { id, created_at }),
        earliest_hold: None,
    }
}
