//! The text of the statements that list and count sagas by a filter.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{SagaId, saga::SagaStatus};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::weeks::first_id;
use crate::port::{Filter, Order};

/// The columns of a list.
const ROW: &str = "SELECT id, name, version, fingerprint, shard, status, business_key, owner, attributes, traceparent, \
                   error, paused, parent, parent_step, created_at, updated_at, finished_at";

/// Until when the saga holds something: its last record says so. The limit keeps it a look-up for each saga of the list.
const HOLD: &str = " LEFT JOIN LATERAL (SELECT j.holds_until FROM saga_journal j WHERE j.saga_id = saga.id \
                    ORDER BY j.seq DESC LIMIT 1) AS hold ON true";

/// The sagas that have an attribute, each found by its id alone, whatever the planner knows of how many they are. Their ids come
/// in the order of the index. The limit keeps it a look-up for each saga, in the one week that has it.
const ATTRIBUTE: (&str, &str, &str) = (
    "(SELECT saga_id FROM saga_attribute WHERE name = ",
    " AND value = ",
    ") AS found CROSS JOIN LATERAL (SELECT * FROM saga WHERE id = found.saga_id LIMIT 1) AS saga",
);

/// The sagas that may hold something. The literal words let the partial index over open sagas be used.
const OPEN: &str = " AND status IN ('running', 'compensating', 'needs_attention')";

/// The sagas that have ended, as the index by their end has it.
const ENDED: &str = " AND finished_at IS NOT NULL";

/// The versions that the sagas of one definition have, each found by one look at the index by name, version and id. What
/// is listed over them is that many scans of the index, merged: of all versions together it has no order by id.
const VERSIONS: (&str, &str, &str) = (
    "WITH RECURSIVE versions (number) AS (SELECT min(version) FROM saga WHERE name = ",
    " UNION ALL SELECT (SELECT min(next.version) FROM saga next WHERE next.name = ",
    " AND next.version > number) FROM versions WHERE number IS NOT NULL) ",
);

/// The sagas that failed at a step, as their index has it.
const STEP: &str = " AND error IS NOT NULL AND split_part(error, '/', 1) = ";

/// How far an id's own time may lie from the saga's start. Filters on the start's time bound the ids by it, so that
/// weeks outside are not read.
const ID_SKEW_MAX: TimeDelta = TimeDelta::hours(1);

/// 10000-01-01, in seconds: the tables hold no time from there on.
const YEAR_10000_SECONDS: i64 = 253_402_300_800;

/// Whether a list says until when its sagas hold something. One that goes by that says so always.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holds<'a> {
    Shown,
    LeftOut,
    /// These sagas are left out of a list that goes by it.
    ShownBut(&'a [Uuid]),
}

pub(super) const fn is_by_hold(filter: &Filter) -> bool {
    filter.holds_before.is_some() || matches!(filter.order, Order::HoldsUntil)
}

/// True for a list of one definition's sagas that no other condition finds by an index of its own. Nearly all sagas complete in
/// the end; the other statuses are rare, and found by theirs.
fn is_over_versions(filter: &Filter, status: Option<SagaStatus>) -> bool {
    let Filter { name, version, business_key, owner, error, step, paused, parent, ids, attributes, order, .. } = filter;
    let found_otherwise = business_key.is_some() || owner.is_some() || error.is_some() || step.is_some() || *paused;
    let found_otherwise = found_otherwise || parent.is_some() || !ids.is_empty() || !attributes.is_empty();
    let of_any = name.is_some() && version.is_none() && !found_otherwise;
    let of_most = matches!(status, None | Some(SagaStatus::Completed));
    of_any && of_most && !is_by_hold(filter) && matches!(order, Order::Newest | Order::Oldest)
}

/// One status, or none, is one scan of one index. Several are as many scans, merged: an index over (status, id) gives
/// the newest of one status without sorting, but not of several.
pub(super) fn push_list(query: &mut QueryBuilder<Postgres>, filter: &Filter, holds: Holds<'_>, limit: u32) {
    let wanted = SagaStatus::ALL.into_iter().filter(|status| filter.statuses.contains(status));
    let mut statuses: Vec<_> = wanted.map(Some).collect();
    // Of what an attribute has found, the statuses are a condition as others are.
    let by_attribute = !filter.attributes.is_empty();
    if statuses.is_empty() || statuses.len() == SagaStatus::ALL.len() || by_attribute {
        statuses = vec![None];
    }
    let several = statuses.len() > 1;
    let over_versions = statuses.iter().any(|status| is_over_versions(filter, *status));
    if let Some(name) = filter.name.as_ref().filter(|_| over_versions) {
        let (first, next, rest) = VERSIONS;
        query.push(first).push_bind(name.clone()).push(next).push_bind(name.clone()).push(rest);
    }
    query.push(if several { "SELECT * FROM (" } else { "" });
    for (index, status) in statuses.into_iter().enumerate() {
        query.push(if index > 0 { " UNION ALL " } else { "" });
        query.push(if several { "(" } else { "" });
        push_rows(query, filter, status, holds, limit);
        query.push(if several { ")" } else { "" });
    }
    if several {
        query.push(") AS merged").push(order_by(filter.order, "id")).push_bind(i64::from(limit));
    }
}

fn push_rows(
    query: &mut QueryBuilder<Postgres>,
    filter: &Filter,
    status: Option<SagaStatus>,
    holds: Holds<'_>,
    limit: u32,
) {
    let over_versions = is_over_versions(filter, status);
    query.push(if over_versions { "SELECT found.* FROM versions CROSS JOIN LATERAL (" } else { "" });
    query.push(ROW);
    match holds {
        Holds::LeftOut if !is_by_hold(filter) => query.push(", NULL::timestamptz AS holds_until"),
        Holds::Shown | Holds::LeftOut | Holds::ShownBut(_) => query.push(", holds_until"),
    };
    push_from(query, filter);
    query.push(if matches!(holds, Holds::LeftOut) && !is_by_hold(filter) { "" } else { HOLD });
    push_conditions(query, filter);
    if let Holds::ShownBut(unread) = holds {
        push_all_but(query, unread);
    }
    match status {
        Some(status) => {
            query.push(" AND status = ").push_bind(status.as_str());
        }
        None if !filter.attributes.is_empty() => push_statuses(query, filter),
        None => {}
    }
    if over_versions {
        // The order is that of the index, and no other index has it: a planner that knew only how many sagas a version has on
        // the average would read the whole table for one that few have.
        query.push(" AND version BETWEEN number AND number ORDER BY version");
        query.push(if matches!(filter.order, Order::Oldest) { ", id LIMIT " } else { " DESC, id DESC LIMIT " });
        query.push_bind(i64::from(limit)).push(") AS found WHERE number IS NOT NULL");
    }
    let id = if filter.attributes.is_empty() { "id" } else { "found.saga_id" };
    query.push(order_by(filter.order, id)).push_bind(i64::from(limit));
}

/// The rows of a list in no order, for counting, joined with one more table, without those whose holds cannot be read.
pub(super) fn push_matching(query: &mut QueryBuilder<Postgres>, filter: &Filter, join: &'static str, unread: &[Uuid]) {
    push_from(query, filter);
    query.push(join).push(if is_by_hold(filter) { HOLD } else { "" });
    push_conditions(query, filter);
    push_statuses(query, filter);
    if !unread.is_empty() {
        push_all_but(query, unread);
    }
}

/// The rows that a list by hold may have, whatever they hold.
pub(super) fn push_candidates(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    let any_hold = Filter { holds_before: None, order: Order::Oldest, behind: None, ..filter.clone() };
    push_from(query, filter);
    push_conditions(query, &any_hold);
    query.push(OPEN);
    push_statuses(query, filter);
}

/// The sagas among which the conditions choose.
fn push_from(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    query.push(" FROM ");
    match filter.attributes.iter().next() {
        None => query.push("saga"),
        Some((attribute, value)) => {
            let (name, is, rest) = ATTRIBUTE;
            query.push(name).push_bind(attribute.to_owned()).push(is).push_bind(value.to_owned()).push(rest)
        }
    };
}

fn push_statuses(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    if !filter.statuses.is_empty() {
        let statuses: Vec<_> = filter.statuses.iter().map(|status| status.as_str()).collect();
        query.push(" AND status = ANY(").push_bind(statuses).push(")");
    }
}

/// A condition on the sagas alone, so that the journals of those that it leaves out are not looked at.
fn push_all_but(query: &mut QueryBuilder<Postgres>, unread: &[Uuid]) {
    query.push(" AND id <> ALL(").push_bind(unread.to_vec()).push(")");
}

/// All conditions but the status.
fn push_conditions(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    let Filter { statuses: _, name, version, business_key, owner, error, step, paused, parent, ids, .. } = filter;
    let Filter { attributes, created_after, created_before, finished_after, finished_before, holds_before, .. } =
        filter;
    let Filter { order, before, after, behind, .. } = filter;
    let created_after = created_after.map(sane_time);
    let created_before = created_before.map(sane_time);
    let ids_from = created_after.and_then(|at| first_id_of(at - ID_SKEW_MAX)).unwrap_or(Uuid::nil());
    query.push(" WHERE id >= ").push_bind(ids_from);
    query.push(if is_by_hold(filter) { OPEN } else { "" });
    let texts = [("name", name), ("business_key", business_key), ("owner", owner), ("error", error)];
    for (column, text) in texts {
        if let Some(text) = text {
            query.push(" AND ").push(column).push(" = ").push_bind(text.clone());
        }
    }
    if let Some(version) = *version {
        query.push(" AND version = ").push_bind(i64::from(version));
    }
    if let Some(step) = step {
        query.push(STEP).push_bind(step.to_string());
    }
    if *paused {
        query.push(" AND paused");
    }
    if !ids.is_empty() {
        query.push(" AND id = ANY(").push_bind(ids.iter().map(|id| id.uuid()).collect::<Vec<_>>()).push(")");
    }
    // The first one has found the saga already.
    for (attribute, value) in attributes.iter().skip(1) {
        query.push(" AND attributes ->> ").push_bind(attribute.to_owned()).push(" = ").push_bind(value.to_owned());
    }
    if let Some(parent) = *parent {
        query.push(" AND parent = ").push_bind(parent.uuid());
    }
    if let Some(at) = created_after {
        query.push(" AND created_at >= ").push_bind(at);
    }
    if let Some(at) = created_before {
        query.push(" AND created_at < ").push_bind(at);
        if let Some(id) = first_id_of(at + ID_SKEW_MAX) {
            query.push(" AND id < ").push_bind(id);
        }
    }
    if let Some(at) = *finished_after {
        query.push(ENDED).push(" AND finished_at >= ").push_bind(sane_time(at));
    }
    if let Some(at) = *finished_before {
        query.push(ENDED).push(" AND finished_at < ").push_bind(sane_time(at));
    }
    if let Some(at) = *holds_before {
        query.push(" AND holds_until < ").push_bind(sane_time(at));
    }
    if let Some(id) = *before {
        query.push(" AND id < ").push_bind(id.uuid());
    }
    if let Some(id) = *after {
        query.push(" AND id > ").push_bind(id.uuid());
    }
    match order {
        Order::Newest | Order::Oldest => {}
        Order::Ended => {
            query.push(ENDED);
            push_behind(query, " AND (finished_at, id) < (", *behind);
        }
        Order::HoldsUntil => {
            query.push(" AND holds_until IS NOT NULL");
            push_behind(query, " AND (holds_until, id) > (", *behind);
        }
    }
}

fn push_behind(query: &mut QueryBuilder<Postgres>, compared: &'static str, behind: Option<(DateTime<Utc>, SagaId)>) {
    if let Some((at, id)) = behind {
        query.push(compared).push_bind(sane_time(at)).push(", ").push_bind(id.uuid()).push(")");
    }
}

fn order_by(order: Order, id: &str) -> String {
    match order {
        Order::Newest => format!(" ORDER BY {id} DESC LIMIT "),
        Order::Oldest => format!(" ORDER BY {id} LIMIT "),
        Order::Ended => format!(" ORDER BY finished_at DESC, {id} DESC LIMIT "),
        Order::HoldsUntil => format!(" ORDER BY holds_until, {id} LIMIT "),
    }
}

/// A time within what the tables hold: one outside of it finds the same rows as the nearest one inside.
fn sane_time(at: DateTime<Utc>) -> DateTime<Utc> {
    let year_10000 = DateTime::from_timestamp(YEAR_10000_SECONDS, 0).unwrap_or(DateTime::UNIX_EPOCH);
    at.clamp(DateTime::UNIX_EPOCH, year_10000)
}

fn first_id_of(at: DateTime<Utc>) -> Option<Uuid> {
    first_id(at.timestamp_millis())
}
