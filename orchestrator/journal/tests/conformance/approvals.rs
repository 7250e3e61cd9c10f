//! Requests for the approval of a second operator: decided once, by another person, in time.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    ApprovalId,
    orchestrator_api::{
        APPROVALS_OPEN_MAX, Approval, ApprovalDecision, ApprovalGround, ApprovalState, ApprovedRequest,
    },
    saga::Action,
};
use journal::{ApprovalAsked, ApprovalFilter};

use crate::{adapters::Storage, fixtures::*};

fn approval(digest: &str, at: DateTime<Utc>) -> Approval {
    Approval {
        id: kit::ids::approval_id(),
        request: ApprovedRequest::Act { saga_id: saga_on(0), action: Action::Abandon {}, head: 7 },
        digest: digest.to_owned(),
        ground: ApprovalGround::PivotPassed,
        actor: "usr_1".to_owned(),
        role: "operator".to_owned(),
        reason: "because".to_owned(),
        created_at: at,
        expires_at: at + TimeDelta::hours(1),
        state: ApprovalState::Pending,
        decision: None,
        outcome: None,
    }
}

pub(crate) async fn a_request_waits_for_another_person_is_decided_once_and_lapses(storage: &dyn Storage) {
    let (one, other) = (storage.process().await, storage.process().await);
    let start = now();
    let later = |minutes: i64| start + TimeDelta::minutes(minutes);
    let decision = |actor: &str, at| ApprovalDecision {
        actor: actor.to_owned(),
        role: "operator".to_owned(),
        reason: "seen".to_owned(),
        at,
    };
    let decide = async |id: ApprovalId, actor: &str, at| {
        other.decide_approval(id, ApprovalState::Approved, &decision(actor, at)).await.unwrap()
    };
    let waiting = async |at| {
        let filter = ApprovalFilter { waiting_at: Some(at), target: None };
        other.approvals(&filter, None, 500).await.unwrap().into_iter().map(|one| one.id).collect::<Vec<_>>()
    };

    let first = approval("1", start);
    assert!(matches!(one.ask_approval(&first).await.unwrap(), ApprovalAsked::Asked));
    let again = approval("1", later(1));
    let known = one.ask_approval(&again).await.unwrap();
    assert!(matches!(&known, ApprovalAsked::Known(known) if known.id == first.id), "{known:?}");
    let second = approval("2", later(2));
    assert!(matches!(one.ask_approval(&second).await.unwrap(), ApprovalAsked::Asked));
    assert_eq!(waiting(later(3)).await, [second.id, first.id], "newest first");
    assert_eq!(waiting(later(61)).await, [second.id], "the first one has lapsed");
    let target = ApprovalFilter { waiting_at: None, target: Some(first.target()) };
    assert_eq!(one.approvals(&target, Some(second.id), 1).await.unwrap()[0].digest, "1");

    assert!(!decide(first.id, "usr_1", later(3)).await, "it is their own");
    assert!(!decide(first.id, "usr_2", later(61)).await, "it has lapsed");
    assert!(decide(first.id, "usr_2", later(3)).await);
    assert!(!decide(first.id, "usr_3", later(4)).await, "it is decided");
    one.settle_approval(first.id, "done").await.unwrap();
    let kept = other.approval(first.id).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.outcome.as_deref()), (ApprovalState::Approved, Some("done")));
    assert_eq!(kept.decision, Some(decision("usr_2", later(3))));

    let room = APPROVALS_OPEN_MAX - waiting(later(3)).await.len();
    for number in 0..room {
        let more = approval(&format!("more {number}"), later(3));
        assert!(matches!(one.ask_approval(&more).await.unwrap(), ApprovalAsked::Asked), "{number}");
    }
    assert!(matches!(one.ask_approval(&approval("last", later(3))).await.unwrap(), ApprovalAsked::TooMany));
    assert_eq!(one.forget_approvals(later(3)).await.unwrap(), 2);
    assert!(one.approval(first.id).await.unwrap().is_none());
}
