//! A line of the error groups.

use chrono::{DateTime, Utc};
use contract::orchestrator_api::ErrorGroup;

use super::{
    names,
    times::{self, Moment},
};

/// Sagas that failed alike.
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) error: String,
    pub(crate) needing: u64,
    pub(crate) count: u64,
    pub(crate) last: Moment,
    /// The query that lists them.
    pub(crate) query: String,
    /// The last 24 hours as the heights of bars, in percent of the highest.
    pub(crate) hours: Vec<u64>,
}

pub(crate) fn group(group: &ErrorGroup, now: DateTime<Utc>) -> Group {
    let highest = group.hours.iter().copied().max().unwrap_or_default().max(1);
    Group {
        name: names::title(&group.name),
        error: group.error.clone(),
        needing: group.needing_attention,
        count: group.count,
        last: times::moment(group.last_at, now),
        query: format!("name:{} error:{}", group.name, group.error),
        hours: group.hours.iter().map(|hour| hour * 100 / highest).collect(),
    }
}
