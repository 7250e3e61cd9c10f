//! The choice of a job's sagas, and their groups: the same for all adapters.

use contract::{
    StepName,
    orchestrator_api::{ERROR_OF_SAGA, JobGroup, SagaFilter},
    saga::SagaStatus,
};

use crate::port::Filter;

/// The listing of the sagas that a filter of a job chooses: those that have not ended. None when it can choose none.
pub(crate) fn chosen(filter: &SagaFilter) -> Option<Filter> {
    if filter.finished_after.is_some() || filter.finished_before.is_some() {
        return None;
    }
    let wanted =
        |status: &SagaStatus| !status.is_final() && (filter.status.is_empty() || filter.status.contains(status));
    let statuses: Vec<_> = SagaStatus::ALL.into_iter().filter(wanted).collect();
    let SagaFilter {
        status: _, name, version, business_key, owner, error, step, paused, parent, ids, attributes, ..
    } = filter.clone();
    let SagaFilter { created_after, created_before, holds_before, .. } = *filter;
    (!statuses.is_empty()).then_some(Filter {
        statuses,
        name,
        version,
        business_key,
        owner,
        error,
        step,
        paused,
        parent,
        ids,
        attributes,
        created_after,
        created_before,
        holds_before,
        ..Filter::default()
    })
}

/// The group of a preview, from the columns of its sagas.
pub(crate) fn group(name: String, version: u32, status: SagaStatus, error: Option<&str>, sagas: u32) -> JobGroup {
    let (step, code) = match error.map(|error| error.split_once('/').unwrap_or(("", error))) {
        Some((step, code)) => {
            (step.parse().ok().filter(|step: &StepName| step.as_str() != ERROR_OF_SAGA), Some(code.to_owned()))
        }
        None => (None, None),
    };
    JobGroup { name, version, status, step, code, sagas }
}
