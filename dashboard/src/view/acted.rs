//! A line of the audit log.

use chrono::{DateTime, Utc};
use contract::orchestrator_api::AuditRecord;

use super::{
    names::{self, Id},
    times::{self, Moment},
};

/// One row of the log.
pub(crate) struct AuditRow {
    pub(crate) number: u64,
    pub(crate) at: Moment,
    pub(crate) actor: Id,
    pub(crate) role: String,
    pub(crate) act: String,
    pub(crate) target: Id,
    pub(crate) reason: String,
    pub(crate) outcome: String,
}

pub(crate) fn row(record: &AuditRecord, now: DateTime<Utc>) -> AuditRow {
    let fact = &record.fact;
    AuditRow {
        number: record.number,
        at: times::moment(fact.at, now),
        actor: names::id(&fact.actor),
        role: fact.role.clone(),
        act: names::words(&fact.act),
        target: names::id(&fact.target),
        reason: fact.reason.clone(),
        outcome: fact.outcome.clone(),
    }
}
