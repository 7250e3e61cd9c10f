//! Envelopes, outcomes, events, problems and ids.

use contract::{
    Document, Fault, InstanceId, Op, Outcome, Refusal, RequestId, Route,
    envelope::{self, CommandEnvelope, EnvelopeError, ReplyEnvelope},
    event::CloudEvent,
    limits::MESSAGE_BYTES_MAX,
    problem::{FieldError, Problem},
    roll_call::{RollCall, WorkerPresent},
};
use serde_json::{Value, json, value::RawValue};

use crate::{
    golden::{Golden, golden},
    samples::{at, message, money, order, saga, step, traceparent, work},
};

#[test]
fn every_envelope_event_and_problem_is_its_golden_file() {
    all().iter().for_each(Golden::check);
}

pub(crate) fn all() -> Vec<Golden> {
    let ids =
        json!({ "saga": saga(), "order": order(), "step": step("hold-rooms"), "command": work(Op::Compensation) });
    let refusal = Refusal { code: "room_sold_out".into(), message: "no room is left on 2026-12-01".into() };
    let fault = Fault { code: "dependency_failed".into(), message: "the database went away".into() };
    let id = uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0007);
    let (request_id, instance) = (RequestId::from_uuid(id), InstanceId::from_uuid(id));
    let domains = vec![Route::Payment, Route::Feed];
    let present = WorkerPresent { request_id, instance, version: "0.1.0".into(), started_at: at(0), domains };
    vec![
        golden("ids", ids),
        golden("money", vec![money("1234.5", "EUR"), money("12", "JPY"), money("1.234", "KWD"), money("0", "USD")]),
        golden("routes", Route::ALL.to_vec()),
        golden("ops", vec![Op::Action, Op::Compensation]),
        golden("command_envelope", command(true)),
        golden("command_envelope.least", command(false)),
        golden("reply_envelope.done", reply(Outcome::done(json!({"expires_at": at(20)})), true)),
        golden("reply_envelope.refused", reply(Outcome::Refused(refusal.clone()), true)),
        golden("reply_envelope.faulted", reply(Outcome::Faulted(fault.clone()), false)),
        golden("refusal", refusal),
        golden("fault", fault),
        golden("cloud_event", event(true)),
        golden("cloud_event.least", event(false)),
        golden("problem", problem(true)),
        golden("problem.least", problem(false)),
        golden("roll_call", RollCall { request_id, answer_to: "orchestrator.ins_7".into() }),
        golden("worker_present", present),
    ]
}

fn command(full: bool) -> CommandEnvelope {
    CommandEnvelope {
        message_id: message(),
        command_id: work(Op::Action),
        attempt: 2,
        name: "accommodation.hold_rooms".into(),
        version: 1,
        route: Route::Accommodation,
        reply_to: "shard.3".into(),
        expires_at: full.then(|| at(1)),
        traceparent: traceparent().filter(|_| full),
        parcels: full,
        payload: RawValue::from_string(r#"{"order_id":"ord_0","offers":[]}"#.into()).unwrap(),
    }
}

fn reply(outcome: Outcome<Value>, full: bool) -> ReplyEnvelope {
    ReplyEnvelope {
        message_id: message(),
        command_id: work(Op::Action),
        attempt: 2,
        parcels: full.then_some(Route::Accommodation),
        outcome: outcome.map(Document::from),
        traceparent: traceparent().filter(|_| full),
    }
}

fn event(full: bool) -> CloudEvent {
    CloudEvent {
        specversion: "1.0".into(),
        id: message(),
        source: "/sojourn/order".into(),
        kind: "order.confirmed".into(),
        dataversion: 1,
        subject: order().to_string(),
        time: at(3),
        datacontenttype: "application/json".into(),
        correlationid: full.then(|| saga().to_string()),
        causationid: full.then(|| message().to_string()),
        traceparent: traceparent().filter(|_| full),
        data: json!({"order_id": order()}),
    }
}

fn problem(full: bool) -> Problem {
    let error = FieldError {
        detail: "1.234 has more decimals than EUR knows (2)".into(),
        pointer: "#/items/0/total/amount".into(),
    };
    Problem {
        kind: format!("{}validation_failed", contract::problem::TYPE_BASE),
        title: "The request is not valid".into(),
        status: 422,
        detail: full.then(|| "one value is wrong".into()),
        code: "validation_failed".into(),
        errors: if full { vec![error] } else { Vec::new() },
    }
}

#[test]
fn messages_from_newer_senders_are_read_with_what_they_add_left_out() {
    let mut newer = serde_json::to_value(command(true)).unwrap();
    newer["priority"] = json!(7);
    let read: CommandEnvelope = envelope::read(newer.to_string().as_bytes(), "command").unwrap();
    assert_eq!(read.command_id, work(Op::Action));
    let mut newer = serde_json::to_value(reply(Outcome::done(json!({})), true)).unwrap();
    newer["took_ms"] = json!(7);
    let read: ReplyEnvelope = envelope::read(newer.to_string().as_bytes(), "reply").unwrap();
    assert_eq!(read.outcome, Outcome::done(Document::from(json!({}))));
}

#[test]
fn a_reply_is_kept_as_it_came() {
    let read = |outcome: &str| {
        let whole = serde_json::to_string(&reply(Outcome::done(Value::from("the reply")), true)).unwrap();
        let whole = whole.replace(r#""outcome":"done","reply":"the reply""#, outcome);
        envelope::read::<ReplyEnvelope>(whole.as_bytes(), "reply")
            .map(|read| read.outcome)
            .map_err(|error| error.to_string())
    };
    let text = |outcome: &str| match read(outcome) {
        Ok(Outcome::Done { reply }) => reply.text().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text(r#""reply": {"b": 1.50,  "a": "\u00e9"}, "outcome": "done""#), r#"{"b": 1.50,  "a": "\u00e9"}"#);
    assert_eq!(text(r#""outcome":"done","reply":null"#), "null");
    assert!(read(r#""outcome":"done""#).unwrap_err().contains("missing field `reply`"));
    assert!(read(r#""outcome":"refused","code":"room_sold_out""#).unwrap_err().contains("missing field `message`"));
}

#[test]
fn what_is_no_message_is_named() {
    let why = |body: &[u8]| envelope::read::<ReplyEnvelope>(body, "reply").unwrap_err().to_string();
    assert!(why(b"\xff\xfe").starts_with("the message is not a readable reply: "));
    assert!(why(b"{}").contains("missing field `message_id`"), "{}", why(b"{}"));
    assert_eq!(why(b""), "the message is not a readable reply: EOF while parsing a value at line 1 column 0");
    let mut unknown = serde_json::to_value(reply(Outcome::done(json!({})), true)).unwrap();
    unknown["outcome"] = json!("exploded");
    assert!(why(unknown.to_string().as_bytes()).contains("exploded"));
    let large = envelope::read::<Value>(&vec![b' '; MESSAGE_BYTES_MAX + 1], "reply").unwrap_err();
    assert!(matches!(large, EnvelopeError::TooLarge(_)));
}
