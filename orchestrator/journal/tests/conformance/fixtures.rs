//! Sagas to write, and waiting with a deadline.

use std::{future::Future, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    Op, SagaId, StepName,
    orchestrator_api::StartKey,
    saga::{Action, Cause, SagaStatus},
};
use journal::{Append, Appended, Change, Family, LaneJournal, Record, SagaRow, Sleep};
use machine::{Entry, Fingerprint, Operator};
use serde_json::json;

use crate::adapters::SHARDS;

/// Far beyond what anything here needs: a test that meets it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The time, to the microsecond.
pub(crate) fn now() -> DateTime<Utc> {
    kit::clock::system().now()
}

pub(crate) fn saga_on(shard: u16) -> SagaId {
    kit::ids::saga_id(shard, SHARDS)
}

pub(crate) fn row(id: SagaId) -> SagaRow {
    SagaRow {
        id,
        name: "order".to_owned(),
        version: 3,
        fingerprint: "0123456789abcdef0123456789abcdef".to_owned(),
        shard: id.shard(SHARDS),
        status: SagaStatus::Running,
        business_key: format!("ord_{}", id.uuid().simple()),
        owner: Some("usr_7".to_owned()),
        attributes: contract::Attributes::default(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok(),
        parent: None,
        parent_step: None,
        error: None,
        paused: false,
        created_at: now(),
        updated_at: now(),
        finished_at: None,
    }
}

pub(crate) fn record(seq: u64) -> Record {
    let entry = Entry::CommandDone { step: step("hold-rooms"), op: Op::Action, reply: json!({ "seq": seq }).into() };
    Record { seq, at: now(), entries: vec![entry] }
}

pub(crate) fn step(name: &str) -> StepName {
    StepName::new(name).expect("a step's name")
}

/// One of every kind.
pub(crate) fn every_entry() -> Vec<Entry> {
    let (step, op, code) = (step("hold-rooms"), Op::Compensation, "sold_out".to_owned());
    let message = "Zimmer \"7\" ist weg \u{0}\u{1f6cf}\n".to_owned();
    let at = now() + TimeDelta::nanoseconds(789);
    vec![
        Entry::SagaStarted {
            name: "order".to_owned(),
            version: 3,
            fingerprint: Fingerprint::from_text("0123456789abcdef0123456789abcdef"),
            deadline_at: Some(at),
            input: json!({ "b": 1, "a": [1.5, null, "\u{0}"], "total": "1234.50", "big": u64::MAX }).into(),
            not_applicable: vec![step.clone()],
            parent: Some(machine::Parent { saga_id: saga_on(0), step: step.clone() }),
        },
        Entry::ChildAwaited { step: step.clone(), op, child: saga_on(0) },
        Entry::CommandDispatched { step: step.clone(), op, generation: 2, attempt: 7, reply_by: at },
        Entry::CommandDone { step: step.clone(), op, reply: json!(null).into() },
        Entry::CommandRefused { step: step.clone(), op, code: code.clone(), message: message.clone() },
        Entry::CommandFailed {
            step: step.clone(),
            op,
            attempt: 1,
            in_doubt: true,
            code: code.clone(),
            message: message.clone(),
            retry_at: Some(at),
        },
        Entry::CompensationStarted {
            cause: Cause { step: Some(step.clone()), code: code.clone(), message: message.clone(), refused: true },
        },
        Entry::AttentionNeeded { step: step.clone(), op, code, message: message.clone() },
        Entry::OperatorActed {
            operator: Operator { actor: "usr_1".to_owned(), role: "operator".to_owned(), reason: message },
            action: Action::Skip { step: step.clone(), reply: json!({ "held": true }), force: true },
            request_id: Some(contract::RequestId::from_uuid(kit::ids::uuid_v7())),
        },
        Entry::StepSkipped { step, op, reply: json!([]).into() },
        Entry::SagaCompleted,
        Entry::SagaCompensated,
        Entry::SagaAbandoned,
    ]
}

pub(crate) fn start(row: SagaRow, key: Option<&str>) -> Append {
    let key = key.map(|key| StartKey { key: key.to_owned(), fingerprint: format!("asked by {}", row.id) });
    Append {
        saga_id: row.id,
        record: record(1),
        holds_until: None,
        change: Change::Started { row: Box::new(row), key },
        sleep: Sleep::Unchanged,
        family: Family::default(),
    }
}

pub(crate) fn step_on(saga_id: SagaId, seq: u64) -> Append {
    let (change, sleep, family) = (Change::None, Sleep::Unchanged, Family::default());
    Append { saga_id, record: record(seq), holds_until: None, change, sleep, family }
}

pub(crate) fn status_on(saga_id: SagaId, seq: u64, status: SagaStatus, error: Option<&str>) -> Append {
    let error = error.map(str::to_owned);
    Append {
        saga_id,
        record: record(seq),
        holds_until: None,
        change: Change::Row { status, error, taken_over_by: None, paused: false },
        sleep: Sleep::Unchanged,
        family: Family::default(),
    }
}

/// Appends what must be committed.
pub(crate) async fn commit(lane: &mut dyn LaneJournal, batch: Vec<Append>) {
    let count = batch.len();
    let answers = lane.append(batch).await.expect("the append works");
    assert_eq!(answers, vec![Appended::Committed; count]);
}

/// Waits for something that must come.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it happens before the deadline")
}

/// Asks again and again until the answer is yes.
pub(crate) async fn until<F: Future<Output = bool>>(mut ask: impl FnMut() -> F) {
    soon(async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
