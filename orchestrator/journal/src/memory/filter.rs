//! The conditions of a listing, as PostgreSQL's queries have them.

use crate::port::{Filter, Order, Place, SagaRow};

/// Whether a saga meets all conditions, and stands behind the page before.
pub(super) fn matches(filter: &Filter, row: &SagaRow, Place { id, holds_until, finished_at }: Place) -> bool {
    let equal = |wanted: &Option<String>, found: Option<&String>| wanted.is_none() || wanted.as_ref() == found;
    (filter.statuses.is_empty() || filter.statuses.contains(&row.status))
        && equal(&filter.name, Some(&row.name))
        && filter.version.is_none_or(|version| row.version == version)
        && equal(&filter.business_key, Some(&row.business_key))
        && equal(&filter.owner, row.owner.as_ref())
        && equal(&filter.error, row.error.as_ref())
        && filter
            .step
            .as_ref()
            .is_none_or(|step| row.error.as_deref().is_some_and(|error| step_of(error) == step.as_str()))
        && (row.paused || !filter.paused)
        && (filter.parent.is_none() || filter.parent == row.parent)
        && (filter.ids.is_empty() || filter.ids.contains(&row.id))
        && filter.attributes.iter().all(|(name, value)| row.attributes.get(name) == Some(value))
        && filter.created_after.is_none_or(|after| row.created_at >= after)
        && filter.created_before.is_none_or(|before| row.created_at < before)
        && filter.finished_after.is_none_or(|after| finished_at.is_some_and(|at| at >= after))
        && filter.finished_before.is_none_or(|before| finished_at.is_some_and(|at| at < before))
        && filter.holds_before.is_none_or(|before| holds_until.is_some_and(|until| until < before))
        && filter.before.is_none_or(|before| id < before)
        && filter.after.is_none_or(|after| id > after)
        && match filter.order {
            Order::Newest | Order::Oldest => true,
            Order::Ended => finished_at.is_some_and(|at| filter.behind.is_none_or(|behind| (at, id) < behind)),
            Order::HoldsUntil => {
                holds_until.is_some_and(|until| filter.behind.is_none_or(|behind| (until, id) > behind))
            }
        }
}

/// The part of an error that names its step.
fn step_of(error: &str) -> &str {
    error.split_once('/').map_or(error, |(step, _)| step)
}
