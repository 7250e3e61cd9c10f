//! The acts that one operator does not do alone. Pure: an act and how its saga stands in, the ground for a second operator out.

use chrono::{DateTime, Utc};
use contract::{
    Op,
    orchestrator_api::{ApprovalGround, JOB_ALONE_SAGAS_MAX},
    saga::Action,
};
use journal::Stored;
use machine::{Catalog, pivot_issued};

use crate::{plan, saga_instance::SagaInstance};

/// The ground for which an act on one saga needs a second operator, as the saga stands.
pub(crate) fn of_act(
    catalog: &Catalog,
    stored: &Stored,
    action: &Action,
    now: DateTime<Utc>,
) -> Option<ApprovalGround> {
    match action {
        Action::Resolve { .. } => Some(ApprovalGround::CompensationWaived),
        Action::Skip { .. } => {
            let saga = SagaInstance::restore(catalog, stored).ok()?;
            (saga.state.direction() == Op::Compensation).then_some(ApprovalGround::CompensationWaived)
        }
        Action::Edit { .. } => {
            let plan = plan::plan(catalog, stored, action, now).ok()?;
            plan.changes.iter().any(|change| change.is_money()).then_some(ApprovalGround::MoneyEdited)
        }
        Action::Abandon {} => {
            // One that cannot be read may be past its point of no return.
            let saga = SagaInstance::restore(catalog, stored).ok();
            let passed = saga.is_none_or(|saga| pivot_issued(&saga.definition, &saga.state));
            passed.then_some(ApprovalGround::PivotPassed)
        }
        Action::Retry { .. } | Action::Cancel {} | Action::FireTimer { .. } | Action::RescheduleTimer { .. } => None,
        Action::Pause { .. } | Action::Resume {} | Action::Migrate { .. } => None,
    }
}

/// The ground for which a job needs a second operator. Of its sagas any may be past its point of no return, or being undone.
pub(crate) fn of_job(action: &Action, sagas: u64) -> Option<ApprovalGround> {
    let graver = matches!(action, Action::Abandon {} | Action::Skip { .. });
    (graver || sagas > JOB_ALONE_SAGAS_MAX).then_some(ApprovalGround::Bulk)
}

/// True for an act whose ground depends on how its saga stands: it is carried out on the saga that was looked at, or refused.
pub(crate) const fn depends_on_the_saga(action: &Action) -> bool {
    matches!(action, Action::Skip { .. } | Action::Edit { .. } | Action::Abandon {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_job_and_one_that_gives_up_need_a_second_operator() {
        assert_eq!(of_job(&Action::Retry { step: None }, JOB_ALONE_SAGAS_MAX), None);
        assert_eq!(of_job(&Action::Retry { step: None }, JOB_ALONE_SAGAS_MAX + 1), Some(ApprovalGround::Bulk));
        assert_eq!(of_job(&Action::Abandon {}, 1), Some(ApprovalGround::Bulk));
    }
}
