//! The conditions of a listing, as PostgreSQL's queries have them.

use crate::port::{Filter, Order, Place, SagaRow};

/// Whether a saga meets all conditions, and stands behind the page before.
pub(super) fn matches(filter: &Filter, row: &SagaRow, Place { id, holds_until }: Place) -> bool {
    let equal = |wanted: &Option<String>, found: Option<&String>| wanted.is_none() || wanted.as_ref() == found;
    (filter.statuses.is_empty() || filter.statuses.contains(&row.status))
        && equal(&filter.name, Some(&row.name))
        && equal(&filter.business_key, Some(&row.business_key))
        && equal(&filter.owner, row.owner.as_ref())
        && equal(&filter.error, row.error.as_ref())
        && (row.paused || !filter.paused)
        && (filter.parent.is_none() || filter.parent == row.parent)
        && filter.created_after.is_none_or(|after| row.created_at >= after)
        && filter.created_before.is_none_or(|before| row.created_at < before)
        && filter.holds_before.is_none_or(|before| holds_until.is_some_and(|until| until < before))
        && match filter.order {
            Order::Newest => filter.before.is_none_or(|before| id < before),
            Order::HoldsUntil => {
                holds_until.is_some_and(|until| filter.behind.is_none_or(|behind| (until, id) > behind))
            }
        }
}
