//! Every journal entry as it is stored. A file that no longer reads, or reads and is written otherwise, would make
//! existing journals unreadable: add a variant or an optional field instead.

use std::{collections::BTreeSet, fs, path::Path};

use chrono::DateTime;
use contract::{
    saga::{Action, Cause, PauseClock, PausedHolds},
    step::Op,
};
use machine::{Entry, Fingerprint, Operator};
use serde_json::{Value, json};

use crate::common::name;

#[test]
fn every_entry_reads_and_is_written_as_its_golden_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut expected = BTreeSet::new();
    for (file, entry) in examples() {
        let path = folder.join(format!("{file}.json"));
        expected.insert(path.clone());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&entry).unwrap())).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let stored: Entry = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file} does not read: {error}"));
        assert_eq!(stored, entry, "{file} reads as something else");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(&stored).unwrap(), value, "{file} is written otherwise");
    }
    let found: BTreeSet<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(found, expected, "golden files without an example, or examples without a file");
}

#[test]
fn an_entry_of_an_unknown_kind_is_named() {
    let error = serde_json::from_value::<Entry>(json!({"entry": "saga_exploded"})).unwrap_err().to_string();
    assert!(error.contains("saga_exploded"), "{error}");
}

#[test]
fn a_record_says_which_reader_it_asks_for_only_where_the_first_one_is_not_enough() {
    let (old, new) = (Entry::SagaCompleted, Entry::TimerFired { step: name("cool-down") });
    let plain = r#"[{"entry":"saga_completed"}]"#;
    let asking = r#"{"reader":2,"entries":[{"entry":"timer_fired","step":"cool-down"},{"entry":"saga_completed"}]}"#;
    for (entries, stored) in [(vec![old.clone()], plain), (vec![new, old], asking)] {
        assert_eq!(machine::write_record(&entries).unwrap(), stored);
        assert_eq!(machine::read_record(stored).unwrap(), entries);
    }
}

#[test]
fn a_record_of_a_later_program_is_not_replayed_even_where_its_entries_could_be_read() {
    let later = r#"{"reader":999,"entries":[{"entry":"saga_completed"}],"more":1}"#;
    let refused = machine::read_record(later).unwrap_err();
    assert!(matches!(refused, machine::RecordError::NewerReader { needed: 999 }), "{refused}");
    assert!(matches!(machine::read_record("{}"), Err(machine::RecordError::Unreadable(_))));
}

#[test]
fn an_entry_keeps_its_document_as_it_came_and_has_one() {
    let stored = r#"{"entry":"command_done","step":"hold-rooms","op":"action","reply":{"b": 1.50, "a": "\u00e9"}}"#;
    let entry: Entry = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::to_string(&entry).unwrap(), stored);
    let without = r#"{"entry":"command_done","step":"hold-rooms","op":"action"}"#;
    let error = serde_json::from_str::<Entry>(without).unwrap_err().to_string();
    assert!(error.contains("missing field `reply`"), "{error}");
}

/// One of each variant, and of each optional field. The match makes a new variant fail to compile here.
fn examples() -> Vec<(&'static str, Entry)> {
    let examples = vec![started(true), started(false), child_started()]
        .into_iter()
        .chain(commands())
        .chain(turns())
        .chain(operators())
        .chain(waits());
    examples
        .map(|(suffix, entry)| {
            let kind = match &entry {
                Entry::SagaStarted { .. } => "saga_started",
                Entry::CommandDispatched { .. } => "command_dispatched",
                Entry::CommandDone { .. } => "command_done",
                Entry::CommandRefused { .. } => "command_refused",
                Entry::CommandFailed { .. } => "command_failed",
                Entry::CompensationStarted { .. } => "compensation_started",
                Entry::AttentionNeeded { .. } => "attention_needed",
                Entry::OperatorActed { .. } => "operator_acted",
                Entry::StepSkipped { .. } => "step_skipped",
                Entry::CommandEdited { .. } => "command_edited",
                Entry::CompensationResolved { .. } => "compensation_resolved",
                Entry::SignalAwaited { .. } => "signal_awaited",
                Entry::SignalReceived { .. } => "signal_received",
                Entry::SignalTaken { .. } => "signal_taken",
                Entry::SignalMissed { .. } => "signal_missed",
                Entry::TimerSet { .. } => "timer_set",
                Entry::TimerFired { .. } => "timer_fired",
                Entry::ClosingStarted { .. } => "closing_started",
                Entry::ChildAwaited { .. } => "child_awaited",
                Entry::StepNotNeeded { .. } => "step_not_needed",
                Entry::ExtensionBegun { .. } => "extension_begun",
                Entry::DefinitionChanged { .. } => "definition_changed",
                Entry::ClockStood { .. } => "clock_stood",
                Entry::SagaPaused { .. } => "saga_paused",
                Entry::SagaResumed { .. } => "saga_resumed",
                Entry::SagaCompleted => "saga_completed",
                Entry::SagaCompensated => "saga_compensated",
                Entry::SagaAbandoned => "saga_abandoned",
            };
            let tag = serde_json::to_value(&entry).unwrap()["entry"].clone();
            assert_eq!(tag, kind, "the tag is the file's name");
            let file: &'static str = format!("{kind}{suffix}").leak();
            (file, entry)
        })
        .collect()
}

fn at(seconds: i64) -> DateTime<chrono::Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 125_000_000).unwrap()
}

fn started(full: bool) -> (&'static str, Entry) {
    let entry = Entry::SagaStarted {
        name: "order".into(),
        version: 1,
        fingerprint: Fingerprint::from_text("0123456789abcdef0123456789abcdef"),
        deadline_at: full.then(|| at(600)),
        input: json!({"order_id": "ord_00000000000000000000000000000001", "nights": [1, 2]}).into(),
        parent: None,
        not_applicable: if full { vec![name("hold-seats"), name("confirm-seats")] } else { Vec::new() },
    };
    (if full { "" } else { ".least" }, entry)
}

fn saga(number: u128) -> contract::SagaId {
    contract::SagaId::from_uuid(uuid::Uuid::from_u128(0x0192_f0c1_a2b3_7c4d_8e5f_0000_0000_0000 + number))
}

fn child_started() -> (&'static str, Entry) {
    let (_, mut entry) = started(false);
    if let Entry::SagaStarted { parent, .. } = &mut entry {
        *parent = Some(machine::Parent { saga_id: saga(7), step: name("pay") });
    }
    (".child", entry)
}

fn commands() -> Vec<(&'static str, Entry)> {
    let step = || name("hold-rooms");
    let (code, message) = (|| "room_sold_out".to_owned(), || "no room is left on 2026-12-01".to_owned());
    let failed = |retry_at, in_doubt| Entry::CommandFailed {
        step: step(),
        op: Op::Action,
        attempt: 3,
        in_doubt,
        code: "reply_missing".into(),
        message: "`accommodation.hold_rooms` was not answered within 10s".into(),
        retry_at,
    };
    let dispatched = |op| Entry::CommandDispatched { step: step(), op, generation: 1, attempt: 2, reply_by: at(10) };
    vec![
        (".action", dispatched(Op::Action)),
        (".compensation", dispatched(Op::Compensation)),
        (
            "",
            Entry::CommandDone {
                step: step(),
                op: Op::Action,
                reply: json!({"expires_at": "2027-01-15T08:20:00Z"}).into(),
            },
        ),
        ("", Entry::CommandRefused { step: step(), op: Op::Action, code: code(), message: message() }),
        (".retried", failed(Some(at(12)), true)),
        (".given_up", failed(None, false)),
        ("", Entry::AttentionNeeded { step: step(), op: Op::Compensation, code: code(), message: message() }),
    ]
}

fn turns() -> Vec<(&'static str, Entry)> {
    let cause = |step: Option<contract::StepName>| {
        let refused = step.is_some();
        Cause { step, code: "saga_cancelled".into(), message: "the client called".into(), refused }
    };
    vec![
        (".by_step", Entry::CompensationStarted { cause: cause(Some(name("hold-rooms"))) }),
        (".by_person", Entry::CompensationStarted { cause: cause(None) }),
        ("", Entry::ClosingStarted { cause: cause(None) }),
        ("", Entry::ClockStood { since: at(10), until: at(910) }),
        ("", Entry::SagaPaused { at: at(10), clock: PauseClock::Run, holds: PausedHolds::Lapse }),
        ("", Entry::SagaResumed { at: at(910) }),
        ("", Entry::SagaCompleted),
        ("", Entry::SagaCompensated),
        ("", Entry::SagaAbandoned),
    ]
}

fn waits() -> Vec<(&'static str, Entry)> {
    let step = || name("approval");
    let signal = || "approval".parse().unwrap();
    let awaited = |miss_at| Entry::SignalAwaited { step: step(), signal: signal(), miss_at };
    let received = |actor: Option<&str>| Entry::SignalReceived {
        id: "evt_1".parse().unwrap(),
        signal: signal(),
        actor: actor.map(str::to_owned),
        payload: json!({"approved": true}).into(),
    };
    vec![
        ("", awaited(Some(at(3_600)))),
        (".without_end", awaited(None)),
        ("", received(Some("usr_1"))),
        (".anonymous", received(None)),
        ("", Entry::SignalTaken { step: step(), id: "evt_1".parse().unwrap() }),
        ("", Entry::SignalMissed { step: step(), message: "the signal `approval` did not come in time".into() }),
        ("", Entry::TimerSet { step: step(), fire_at: at(60) }),
        ("", Entry::TimerFired { step: step() }),
        ("", Entry::ChildAwaited { step: step(), op: Op::Action, child: saga(8) }),
        ("", Entry::StepNotNeeded { step: step() }),
        ("", Entry::ExtensionBegun { step: step(), by: at(60) }),
    ]
}

fn operators() -> Vec<(&'static str, Entry)> {
    let acted = |action| Entry::OperatorActed {
        operator: Operator { actor: "usr_1".into(), role: "operator".into(), reason: "the hotel called back".into() },
        action,
        request_id: Some(contract::RequestId::from_uuid(uuid::Uuid::from_u128(
            0x0192_f0c1_a2b3_7c4d_8e5f_0000_0000_0007,
        ))),
    };
    let reply = || json!({"confirmation": "VX-42"});
    let step = || name("confirm-rooms");
    let changed = |not_applicable| {
        let fingerprint = serde_json::from_value(json!("00112233445566778899aabbccddeeff")).unwrap();
        Entry::DefinitionChanged { version: 2, fingerprint, not_applicable }
    };
    let evidence = || contract::Evidence::parse("released by phone, hotel ref. 8812").unwrap();
    let change =
        contract::saga::FieldChange { pointer: "/travellers".into(), before: Some(json!(3)), after: Some(json!(2)) };
    vec![
        (".retry_all", acted(Action::Retry { step: None })),
        (".retry_step", acted(Action::Retry { step: Some(step()) })),
        (".cancel", acted(Action::Cancel {})),
        (".skip", acted(Action::Skip { step: step(), reply: reply(), force: true })),
        (".fire_timer", acted(Action::FireTimer { step: step() })),
        (".reschedule_timer", acted(Action::RescheduleTimer { step: step(), at: at(60) })),
        (".migrate", acted(Action::Migrate { version: 2 })),
        ("", changed(vec![step()])),
        (".least", changed(Vec::new())),
        (".abandon", acted(Action::Abandon {})),
        (".pause", acted(Action::Pause { clock: PauseClock::Freeze, holds: PausedHolds::Keep })),
        (".resume", acted(Action::Resume {})),
        (".edit", acted(Action::Edit { step: step(), patch: json!({"travellers": 2}) })),
        (".resolve", acted(Action::Resolve { step: step(), evidence: evidence() })),
        ("", Entry::StepSkipped { step: step(), op: Op::Action, reply: reply().into() }),
        (
            "",
            Entry::CommandEdited {
                step: step(),
                op: Op::Action,
                changes: vec![change],
                payload: json!({"travellers": 2, "order_id": "ord_00000000000000000000000000000001"}).into(),
            },
        ),
        ("", Entry::CompensationResolved { step: step(), evidence: evidence() }),
    ]
}
