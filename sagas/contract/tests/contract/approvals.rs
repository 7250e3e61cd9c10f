//! Requests for the approval of a second operator.

use contract::{
    ApprovalId, JobId,
    orchestrator_api::{
        Approval, ApprovalDecision, ApprovalGround, ApprovalState, ApprovedRequest, JobRequest, JobRerun, SagaFilter,
    },
    saga::Action,
};
use uuid::Uuid;

use crate::{
    golden::{Golden, golden},
    samples::{at, saga},
};

pub(crate) fn all() -> Vec<Golden> {
    let grounds = vec![
        ApprovalGround::CompensationWaived,
        ApprovalGround::MoneyEdited,
        ApprovalGround::PivotPassed,
        ApprovalGround::Bulk,
    ];
    let states = vec![ApprovalState::Pending, ApprovalState::Approved, ApprovalState::Rejected, ApprovalState::Expired];
    let filter = SagaFilter { name: Some("order".into()), ..SagaFilter::default() };
    let (action, reason) = (Action::Abandon {}, String::from("the provider is gone"));
    let job = JobRequest { action, filter, reason: reason.clone(), pace: None, canary: None, request_id: None };
    let rerun = JobRerun { reason, pace: None, canary: None, request_id: None };
    let job_id = JobId::from_uuid(Uuid::from_u128(9));
    vec![
        golden("approval_grounds", grounds),
        golden("approval_states", states),
        golden("approval", approval(true)),
        golden("approval.least", approval(false)),
        golden("approved_request.job", ApprovedRequest::Job { job: Box::new(job), sagas: 312 }),
        golden(
            "approved_request.rerun",
            ApprovedRequest::Rerun { job_id, action: Action::Abandon {}, rerun, sagas: 3 },
        ),
    ]
}

fn approval(full: bool) -> Approval {
    let (actor, role, reason) = (String::from("usr_2"), String::from("operator"), String::from("looked up"));
    Approval {
        id: ApprovalId::from_uuid(Uuid::from_u128(8)),
        request: ApprovedRequest::Act { saga_id: saga(), action: Action::Abandon {}, head: 7 },
        digest: "0".repeat(64),
        ground: ApprovalGround::PivotPassed,
        actor: "usr_1".into(),
        role: "operator".into(),
        reason: "the provider is gone".into(),
        created_at: at(1),
        expires_at: at(2),
        state: if full { ApprovalState::Approved } else { ApprovalState::Pending },
        decision: full.then(|| ApprovalDecision { actor, role, reason, at: at(2) }),
        outcome: full.then(|| "done".into()),
    }
}
