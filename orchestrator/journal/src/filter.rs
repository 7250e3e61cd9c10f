//! The conditions and the orders of a listing: what is listed is also counted, and chosen for jobs.

use chrono::{DateTime, Utc};
use contract::{Attributes, SagaId, StepName, saga::SagaStatus};

/// The conditions of a listing. Every field is an indexed column, but for attributes, which have an index of their own, and holds,
/// which are looked up for each open saga.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Any of these; all when empty.
    pub statuses: Vec<SagaStatus>,
    /// The definition's name.
    pub name: Option<String>,
    /// The definition's version. Beside the name it is indexed; without it, it narrows what the other conditions find.
    pub version: Option<u32>,
    /// Exactly this business key.
    pub business_key: Option<String>,
    /// Exactly this owner.
    pub owner: Option<String>,
    /// Exactly this error group.
    pub error: Option<String>,
    /// Failed at this step, however.
    pub step: Option<StepName>,
    /// Only those that are paused.
    pub paused: bool,
    /// Only the children of this saga.
    pub parent: Option<SagaId>,
    /// Any of these; all when empty.
    pub ids: Vec<SagaId>,
    /// All of these search attributes.
    pub attributes: Attributes,
    /// Started at or after.
    pub created_after: Option<DateTime<Utc>>,
    /// Started before that time.
    pub created_before: Option<DateTime<Utc>>,
    /// Ended at or after.
    pub finished_after: Option<DateTime<Utc>>,
    /// Ended before that time.
    pub finished_before: Option<DateTime<Utc>>,
    /// Holding something that lapses before that time.
    pub holds_before: Option<DateTime<Utc>>,
    /// The order of the list.
    pub order: Order,
    /// Only ids below this one: the last of the page before, in a list that runs newest first.
    pub before: Option<SagaId>,
    /// Only ids above this one: the last of the page before, in a list that runs oldest first.
    pub after: Option<SagaId>,
    /// Only what comes behind this place, in a list that runs by what lapses first or ended last.
    pub behind: Option<(DateTime<Utc>, SagaId)>,
}

impl Filter {
    /// True when a text of it cannot be stored, so that nothing has it.
    pub(crate) fn is_unstorable(&self) -> bool {
        let texts = [&self.name, &self.business_key, &self.owner, &self.error];
        texts.into_iter().flatten().any(|text| text.contains('\0'))
    }
}

/// The orders of a listing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest saga first.
    #[default]
    Newest,
    /// The oldest saga first.
    Oldest,
    /// The saga that ended last comes first; only sagas that have ended.
    Ended,
    /// The saga whose hold lapses first comes first; only sagas that hold something.
    HoldsUntil,
}
