//! A line of a listing of sagas.

use chrono::{DateTime, Utc};
use contract::orchestrator_api::SagaSummary;

use super::{
    attributes::{self, Attribute},
    marks::{self, Mark},
    names::{self, Id},
    times::{self, Moment},
};

/// One saga in a listing.
pub(crate) struct SagaRow {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) mark: Mark,
    /// The name of the flow in words, with its version.
    pub(crate) flow: String,
    pub(crate) version: u32,
    pub(crate) key: Id,
    pub(crate) client: Option<Id>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) error: Option<String>,
    pub(crate) started: Moment,
    pub(crate) changed: Moment,
    pub(crate) ended: Option<Moment>,
    pub(crate) holds_until: Option<Moment>,
}

pub(crate) fn saga(saga: &SagaSummary, now: DateTime<Utc>) -> SagaRow {
    SagaRow {
        id: saga.id.to_string(),
        address: format!("/ops/sagas/{}", saga.id),
        mark: marks::of_summary(saga),
        flow: names::title(&saga.name),
        version: saga.version,
        key: names::id(&saga.business_key),
        client: saga.owner.as_ref().map(names::id),
        attributes: attributes::all(&saga.attributes),
        error: saga.error.clone(),
        started: times::moment(saga.created_at, now),
        changed: times::moment(saga.updated_at, now),
        ended: saga.finished_at.map(|at| times::moment(at, now)),
        holds_until: saga.holds_until.map(|until| times::moment(until, now)),
    }
}
