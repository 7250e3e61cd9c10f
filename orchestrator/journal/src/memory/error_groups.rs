//! Groups of sagas that failed the same way, from the tables in memory.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contract::saga::SagaStatus;

use crate::port::{ErrorGroup, ErrorGroupKey, ErrorGroupsAsked, FAILURES_COUNTED_MAX};

const SECONDS_PER_HOUR: i64 = 3_600;

/// A saga that failed.
pub(super) struct Failure {
    pub(super) key: ErrorGroupKey,
    pub(super) at: DateTime<Utc>,
    pub(super) status: SagaStatus,
}

/// The groups that are asked for.
pub(super) fn of(failures: impl Iterator<Item = Failure>, asked: &ErrorGroupsAsked) -> Vec<ErrorGroup> {
    let mut by_key: BTreeMap<ErrorGroupKey, Vec<(DateTime<Utc>, SagaStatus)>> = BTreeMap::new();
    for Failure { key, at, status } in failures {
        by_key.entry(key).or_default().push((at, status));
    }
    let wanted = by_key.into_iter().filter(|(key, _)| {
        asked.name.as_ref().is_none_or(|name| key.name == *name) && Some(key) > asked.after.as_ref()
    });
    wanted.filter_map(|(key, failures)| group(key, failures, asked.since)).take(asked.limit as usize).collect()
}

fn group(
    key: ErrorGroupKey,
    mut failures: Vec<(DateTime<Utc>, SagaStatus)>,
    since: DateTime<Utc>,
) -> Option<ErrorGroup> {
    failures.sort_by_key(|(at, _)| *at);
    let (first_at, last_at) = (failures.first()?.0, failures.last()?.0);
    let counted_max = usize::try_from(FAILURES_COUNTED_MAX).unwrap_or(usize::MAX);
    let (mut hours, mut needing_attention) = (BTreeMap::new(), 0);
    for (at, status) in failures.iter().rev().take_while(|(at, _)| *at >= since).take(counted_max) {
        *hours.entry(at.timestamp().div_euclid(SECONDS_PER_HOUR)).or_default() += 1;
        needing_attention += u64::from(*status == SagaStatus::NeedsAttention);
    }
    Some(ErrorGroup { key, first_at, last_at, needing_attention, hours: hours.into_iter().collect() })
}
