//! The rules of the machine, one by one, each as a short conversation with one saga.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use contract::{
    SagaId,
    command::Outcome,
    limits::PAYLOAD_BYTES_MAX,
    saga::{Action, SagaStatus, StepStatus},
    step::Op,
};
use machine::{Builder, Definition, Input, Phase, StartError, Terms, describe, resume};
use serde_json::json;

use crate::common::{
    FEW, Learned, Probe, Talk, Trip, act, at_pivot, begin, journey, learn, name, probe, status_of, trip, unprobe,
};

#[test]
fn a_saga_goes_through_its_steps_side_by_side_where_it_may() {
    let mut talk = begin();
    assert_eq!(talk.done("create"), "create done; send flights 1.1; send rooms 1.1");
    assert_eq!(talk.done("rooms"), "rooms done");
    assert_eq!(talk.done("flights"), "flights done; send confirm 1.1");
    assert_eq!(talk.done("confirm"), "confirm done; send tell 1.1; send bill 1.1");
    assert_eq!(talk.done("bill"), "bill done");
    assert_eq!(talk.done("tell"), "tell done; completed; => completed");
    assert_eq!(talk.next_wake(), None);
}

#[test]
fn a_refusal_undoes_in_reverse_order_and_leaves_the_refused_alone() {
    let mut talk = at_pivot();
    let turned =
        "confirm refused (no); turn around (confirm/no); send undo flights 1.1; send undo rooms 1.1; => compensating";
    assert_eq!(talk.refused("confirm", Op::Action), turned);
    assert_eq!(talk.undone("flights"), "undo flights done");
    assert_eq!(talk.undone("rooms"), "undo rooms done; send undo create 1.1");
    assert_eq!(talk.undone("create"), "undo create done; compensated; => compensated");
    assert_eq!(status_of(&talk, "confirm"), StepStatus::Refused);
    assert_eq!(status_of(&talk, "tell"), StepStatus::Pending);
    assert_eq!(talk.state.error_fingerprint().as_deref(), Some("confirm/no"));
}

#[test]
fn a_step_whose_reply_is_missing_is_undone_and_its_late_success_changes_nothing() {
    let mut talk = begin();
    talk.done("create");
    let late = talk.reply("flights", Op::Action, Outcome::done(json!({"said": "held"})));
    let turned = "rooms refused (no); turn around (rooms/no); send undo flights 1.1; => compensating";
    assert_eq!(talk.refused("rooms", Op::Action), turned);
    let flights = talk.state.progress(&name("flights"), Op::Action).unwrap();
    assert_eq!((&flights.phase, flights.in_doubt), (&Phase::GivenUp, true));
    assert_eq!(talk.hear(&late), "ignored: the saga was turned around");
    assert_eq!(talk.undone("flights"), "undo flights done; send undo create 1.1");
}

#[test]
fn a_definite_answer_counts_whichever_attempt_it_answers_but_a_fault_only_for_its_own() {
    let mut talk = begin();
    let first_fault = talk.reply("create", Op::Action, Outcome::faulted("broken", "it broke"));
    let first_success = talk.reply("create", Op::Action, Outcome::done(json!({"said": "created"})));
    assert_eq!(talk.missing("create", Op::Action), "create failed (reply_missing, in doubt), waits");
    assert_eq!(talk.hear(&first_fault), "ignored: another attempt is awaited");
    assert_eq!(talk.wait(), "send create 1.2");
    assert_eq!(talk.hear(&first_fault), "ignored: another attempt is awaited");
    assert_eq!(talk.hear(&first_success), "create done; send flights 1.1; send rooms 1.1");
    assert_eq!(talk.hear(&first_success), "ignored: it was done before");
}

#[test]
fn the_same_command_is_sent_again_with_the_same_id_and_payload() {
    let mut talk = begin();
    talk.done("create");
    let first: Vec<_> = talk.sent.clone();
    // What a parallel step learns meanwhile must not change the command.
    talk.done("rooms");
    talk.faulted("flights", Op::Action);
    talk.wait();
    assert_eq!(talk.sent[0].command_id, first[0].command_id);
    assert_eq!(talk.sent[0].payload.get(), first[0].payload.get());
    assert_eq!((first[0].attempt, talk.sent[0].attempt), (1, 2));
    talk.done("flights");
    let confirm: Probe = serde_json::from_str(talk.sent[0].payload.get()).unwrap();
    assert_eq!(confirm.said, ["create", "flights", "rooms"], "facts come in the definition's order");
}

#[test]
fn out_of_attempts_before_the_pivot_the_saga_compensates_the_doubtful_step_too() {
    let mut talk = begin();
    talk.done("create");
    talk.done("rooms");
    let turned = "flights failed (broken), out of attempts; turn around (flights/broken); send undo flights 1.1; \
                  send undo rooms 1.1; => compensating";
    assert_eq!(talk.exhaust("flights", Op::Action), turned);
}

#[test]
fn from_the_pivot_on_and_back_a_command_is_retried_without_end_and_says_since_when() {
    let mut talk = at_pivot();
    let first = talk.now;
    for _ in 0..500 {
        assert_eq!(talk.faulted("confirm", Op::Action), "confirm failed (broken), waits");
        talk.wait();
    }
    let since = machine::retrying_since(&talk.definition, &talk.state).unwrap();
    assert!(since - first < TimeDelta::seconds(1) && talk.now - first > TimeDelta::seconds(100), "{since}");
    let confirm = describe(&talk.definition, &talk.state).into_iter().find(|step| step.name.as_str() == "confirm");
    assert_eq!(confirm.unwrap().retrying_since, Some(since));
    assert_eq!(talk.done("confirm"), "confirm done; send tell 1.1; send bill 1.1");
    assert_eq!(machine::retrying_since(&talk.definition, &talk.state), None);

    let mut talk = at_pivot();
    talk.refused("confirm", Op::Action);
    for _ in 0..500 {
        assert_eq!(talk.faulted("flights", Op::Compensation), "undo flights failed (broken), waits");
        talk.wait();
    }
    assert_eq!(talk.undone("rooms"), "undo rooms done", "nothing independent waits for it");
    assert_eq!(talk.undone("flights"), "undo flights done; send undo create 1.1");
}

#[test]
fn an_unreadable_answer_from_the_pivot_on_is_for_a_person_and_a_late_readable_one_still_counts() {
    let mut talk = at_pivot();
    let asked = "confirm failed (reply_unreadable, in doubt), out of attempts; \
                 confirm needs attention (reply_unreadable); => needs_attention";
    assert_eq!(talk.garbled("confirm", Op::Action), asked);
    assert_eq!(talk.state.error_fingerprint().as_deref(), Some("confirm/reply_unreadable"));
    assert_eq!(talk.next_wake(), None);
    assert_eq!(talk.done("confirm"), "confirm done; send tell 1.1; send bill 1.1; => running");
}

#[test]
fn a_stuck_pivot_that_is_refused_after_all_turns_the_saga_around() {
    let mut talk = at_pivot();
    talk.garbled("confirm", Op::Action);
    let turned =
        "confirm refused (no); turn around (confirm/no); send undo flights 1.1; send undo rooms 1.1; => compensating";
    assert_eq!(talk.refused("confirm", Op::Action), turned);
}

#[test]
fn a_refused_retriable_asks_a_person_and_a_retry_asks_under_a_new_id() {
    let mut talk = at_pivot();
    talk.done("confirm");
    let asked = "tell refused (no); tell needs attention (no); => needs_attention";
    let old = talk.reply("tell", Op::Action, Outcome::done(json!({"said": "late"})));
    assert_eq!(talk.refused("tell", Op::Action), asked);
    // A refusal is sticky: other answers to the same command are not to be believed.
    assert_eq!(talk.hear(&old), "ignored: it was refused before");
    assert_eq!(talk.done("bill"), "bill done");
    assert_eq!(talk.act(Action::Retry { step: None }), "ann acts: retry; send tell 2.1; => running");
    assert_eq!(talk.hear(&old), "ignored: it was refused before");
    assert_eq!(talk.done("tell"), "tell done; completed; => completed");
}

#[test]
fn a_retry_by_hand_starts_the_attempts_over_under_the_same_id() {
    let mut talk = begin();
    for _ in 0..2 {
        talk.faulted("create", Op::Action);
        talk.wait();
    }
    talk.faulted("create", Op::Action);
    let (id, attempt) = talk.command_id("create", Op::Action);
    assert_eq!(talk.act(Action::Retry { step: Some(name("create")) }), "ann acts: retry; send create 1.4");
    assert_eq!(talk.sent[0].command_id, id);
    assert_eq!((attempt, talk.sent[0].attempt), (3, 4));
    assert!(talk.exhaust("create", Op::Action).starts_with("create failed (broken), out of attempts; turn around"));
    assert_eq!(talk.command_id("create", Op::Action).1, 7, "four attempts more");
}

#[test]
fn a_stuck_compensation_holds_up_only_what_depends_on_it() {
    let mut talk = at_pivot();
    talk.refused("confirm", Op::Action);
    let asked = "undo flights refused (no); undo flights needs attention (no); => needs_attention";
    assert_eq!(talk.refused("flights", Op::Compensation), asked);
    assert_eq!(talk.undone("rooms"), "undo rooms done");
    assert_eq!(status_of(&talk, "flights"), StepStatus::NeedsAttention);
    assert_eq!(status_of(&talk, "create"), StepStatus::Done);
    assert_eq!(talk.act(Action::Retry { step: None }), "ann acts: retry; send undo flights 2.1; => compensating");
    assert_eq!(talk.undone("flights"), "undo flights done; send undo create 1.1");
    let skip = Action::Skip { step: name("create"), reply: json!({}), force: true };
    assert_eq!(talk.act(skip), "ann acts: skip; undo create skipped; compensated; => compensated");
}

#[test]
fn operators_are_told_why_not() {
    let mut talk = begin();
    let retry = |step: &str| Action::Retry { step: Some(name(step)) };
    let skip = |step: &str, reply| Action::Skip { step: name(step), reply, force: true };
    assert_eq!(
        talk.act(Action::Retry { step: None }),
        "refused: retry_impossible: no step is stuck or waits for its next attempt"
    );
    assert_eq!(
        talk.act(retry("create")),
        "refused: retry_impossible: step `create` is awaiting its reply; only what is stuck or waits for its next attempt can be retried"
    );
    assert_eq!(
        talk.act(retry("hold")),
        "refused: step_unknown: `journey` has no step `hold`; it has create, flights, rooms, confirm, tell, bill"
    );
    assert_eq!(
        talk.act(skip("rooms", json!({"said": "x"}))),
        "refused: skip_impossible: step `rooms` is not sent; only what is stuck, waits for a signal or for its next attempt can be skipped, or by force what is under way"
    );
    assert_eq!(
        talk.act(skip("create", json!({"said": 7}))),
        "refused: reply_mismatch: the reply is not what `order.probe` answers: invalid type: integer `7`, expected a string at /said"
    );
    let large = talk.act(skip("create", json!({"said": "x".repeat(PAYLOAD_BYTES_MAX)})));
    assert!(
        large.starts_with("refused: reply_mismatch: the reply is not what `order.probe` answers: it has 65547 bytes")
    );
    talk.act(Action::Cancel {});
    assert_eq!(talk.act(Action::Cancel {}), "refused: saga_compensating: the saga is being undone already");
    talk.act(Action::Abandon {});
    assert_eq!(
        talk.act(Action::Abandon {}),
        "refused: saga_finished: the saga is abandoned: nothing can be done to it any more"
    );

    let mut talk = at_pivot();
    assert_eq!(
        talk.act(Action::Cancel {}),
        "refused: pivot_passed: the saga is past its point of no return: retry or skip what is stuck, or abandon it"
    );
}

#[test]
fn a_step_under_way_is_skipped_only_by_force() {
    let mut talk = begin();
    let skip = |force| Action::Skip { step: name("create"), reply: json!({"said": "by phone"}), force };
    assert_eq!(
        talk.act(skip(false)),
        "refused: skip_impossible: step `create` is awaiting its reply; only what is stuck, waits for a signal or for its next attempt can be skipped, or by force what is under way"
    );
    let mut forced = begin();
    assert_eq!(forced.act(skip(true)), "ann acts: skip; create skipped; send flights 1.1; send rooms 1.1");
    let failed = talk.reply("create", Op::Action, Outcome::faulted("dependency_failed", "the database is away"));
    talk.hear(&failed);
    assert_eq!(talk.act(skip(false)), "ann acts: skip; create skipped; send flights 1.1; send rooms 1.1");
}

#[test]
fn a_request_takes_effect_once_and_not_after_its_time() {
    let mut talk = begin();
    let request = |number: u128, expires_at| {
        let Input::Operator { operator, action, .. } = act(Action::Cancel {}) else { unreachable!() };
        let request_id = Some(contract::RequestId::from_uuid(uuid::Uuid::from_u128(number)));
        Input::Operator { operator, action, terms: Terms { request_id, expires_at } }
    };
    let late = request(1, Some(talk.now - chrono::TimeDelta::milliseconds(1)));
    assert_eq!(talk.hear(&late), "refused: action_expired: the action reached the saga too late");
    let in_time = request(1, Some(talk.now));
    assert_eq!(
        talk.hear(&in_time),
        "ann acts: cancel; turn around (saga_cancelled); send undo create 1.1; => compensating"
    );
    // Also when its time is over by now, and whatever the saga would say to it.
    assert_eq!(talk.hear(&late), "ignored: the request took effect before");
    assert_eq!(talk.hear(&request(2, None)), "refused: saga_compensating: the saga is being undone already");
}

#[test]
fn a_skipped_step_counts_as_done_with_the_reply_that_was_given() {
    let mut talk = begin();
    let skip = Action::Skip { step: name("create"), reply: json!({"said": "by phone"}), force: true };
    assert_eq!(talk.act(skip), "ann acts: skip; create skipped; send flights 1.1; send rooms 1.1");
    let flights: Probe = serde_json::from_str(talk.sent[0].payload.get()).unwrap();
    assert_eq!(flights.said, ["by phone"]);
    let view = &describe(&talk.definition, &talk.state)[0];
    assert!(view.skipped && view.status == StepStatus::Done);
    // It may have happened for all that, so it is undone like any other.
    talk.act(Action::Cancel {});
    talk.undone("flights");
    assert_eq!(talk.undone("rooms"), "undo rooms done; send undo create 1.1");
}

#[test]
fn an_unreadable_reply_is_a_fault_that_leaves_the_step_in_doubt() {
    let mut talk = begin();
    let garbled = talk.reply("create", Op::Action, Outcome::done(json!({"said": null})));
    assert_eq!(talk.hear(&garbled), "create failed (reply_unreadable, in doubt), waits");
    let error = describe(&talk.definition, &talk.state)[0].error.clone().unwrap();
    assert_eq!(
        error.message,
        "the reply is not what `order.probe` answers: invalid type: null, expected a string at /said"
    );
}

#[test]
fn what_is_nested_too_deep_for_a_journal_to_read_back_is_refused_wherever_it_comes_from() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let deep = |levels: usize| json!({"flags": 0, "note": "", "said": "", "more": nested(levels - 1)});
    let id = SagaId::from_uuid(uuid::Uuid::from_u128(1));
    let start = |levels| machine::start(&journey(), id, None, deep(levels).into(), DateTime::UNIX_EPOCH);
    assert!(start(64).is_ok());
    let error = start(65).unwrap_err().to_string();
    assert_eq!(error, "the input is not what `journey` version 1 takes: it is nested deeper than 64 levels");

    let mut talk = begin();
    let reply = talk.reply("create", Op::Action, Outcome::done(deep(65)));
    assert_eq!(talk.hear(&reply), "create failed (reply_unreadable, in doubt), waits");
    let skip = talk.act(Action::Skip { step: name("create"), reply: deep(65), force: true });
    assert_eq!(
        skip,
        "refused: reply_mismatch: the reply is not what `order.probe` answers: it is nested deeper than 64 levels"
    );
    let skip = Action::Skip { step: name("create"), reply: deep(64), force: true };
    assert_eq!(talk.act(skip), "ann acts: skip; create skipped; send flights 1.1; send rooms 1.1");
}

#[test]
fn a_reply_with_something_that_no_tree_can_hold_is_unreadable() {
    for unreadable in [r#"{"said": "x", "more": 1e999}"#, r#"{"said": "x", "more": "\ud800"}"#] {
        let mut talk = begin();
        let (command_id, attempt) = talk.command_id("create", Op::Action);
        let outcome = Outcome::done(serde_json::from_str(unreadable).unwrap());
        let heard = talk.hear(&Input::Replied { command_id, attempt, outcome });
        assert_eq!(heard, "create failed (reply_unreadable, in doubt), waits");
    }
}

#[test]
fn a_dead_letter_is_a_fault_of_its_attempt() {
    let mut talk = begin();
    let (command_id, attempt) = talk.command_id("create", Op::Action);
    let dead =
        |attempt| Input::DeadLettered { command_id: command_id.clone(), attempt, reason: "delivery limit".into() };
    assert_eq!(talk.hear(&dead(attempt + 1)), "ignored: another attempt is awaited");
    assert_eq!(talk.hear(&dead(attempt)), "create failed (command_dead_lettered, in doubt), waits");
}

#[test]
fn answers_to_what_was_never_asked_are_unknown() {
    let mut talk = begin();
    let flights = talk.done("flights");
    assert_eq!(flights, "unknown: this saga never sent `saga_00000000000000000000000000000007:flights:action:1`");
    assert!(talk.undone("create").starts_with("unknown"));
    let (mut command_id, attempt) = talk.command_id("create", Op::Action);
    command_id.saga = SagaId::from_uuid(uuid::Uuid::from_u128(8));
    let outcome = Outcome::done(json!({"said": "x"}).into());
    assert!(talk.hear(&Input::Replied { command_id, attempt, outcome }).starts_with("unknown"));
}

#[test]
fn a_saga_of_another_shape_is_left_alone() {
    let mut talk = begin();
    let mut other = Builder::<Trip, Learned>::new("journey", 1);
    other.step("create").command(probe).compensate(unprobe).add();
    talk.definition = other.build().unwrap();
    assert_eq!(talk.done("create"), "ignored: the saga was started under another definition");
    assert!(talk.act(Action::Cancel {}).starts_with("refused: definition_mismatch"));
    assert!(resume(&talk.definition, &talk.state).is_empty());
    assert_eq!(talk.next_wake(), None);
    assert_eq!(talk.act(Action::Abandon {}), "ann acts: abandon; abandoned; => abandoned");
}

#[test]
fn resume_sends_what_is_outstanding_with_the_attempt_that_is_journaled() {
    let mut talk = begin();
    talk.done("create");
    talk.faulted("flights", Op::Action);
    talk.wait();
    let commands = resume(&talk.definition, &talk.state);
    let sent = commands.iter().map(|command| (command.command_id.step.to_string(), command.attempt));
    assert_eq!(sent.collect::<Vec<_>>(), [("flights".into(), 2), ("rooms".into(), 1)]);
}

/// hold (C, when bit 0), between create (C) and confirm (P): nothing may slip past it when it does not apply.
fn conditional() -> Definition {
    let mut saga = Builder::<Trip, Learned>::new("conditional", 1);
    let create = saga.step("create").command(probe).compensate(unprobe).add();
    let hold =
        saga.step("hold").when(|trip| trip.flags & 1 != 0).after([create]).command(probe).compensate(unprobe).add();
    let one = saga.step("one").pivot().when(|trip| trip.flags & 2 != 0).after([hold]).command(probe).add();
    let two = saga.step("two").pivot().when(|trip| trip.flags & 4 != 0).after([hold]).command(probe).add();
    saga.step("tell").retriable().after([one, two]).command(probe).add();
    saga.build().unwrap()
}

#[test]
fn a_step_that_does_not_apply_is_passed_over_but_not_what_comes_before_it() {
    let mut talk = Talk::begin(conditional(), 2);
    assert_eq!(talk.sent.len(), 1, "the pivot waits for `create`, though `hold` between them does not apply");
    assert_eq!(talk.done("create"), "create done; send one 1.1");
    assert_eq!(talk.done("one"), "one done; send tell 1.1");
    assert_eq!(status_of(&talk, "hold"), StepStatus::NotApplicable);
    assert_eq!(talk.done("tell"), "tell done; completed; => completed");
}

#[test]
fn inputs_that_no_saga_can_start_with_are_named() {
    let start = |input: serde_json::Value| {
        let id = SagaId::from_uuid(uuid::Uuid::from_u128(1));
        machine::start(&conditional(), id, None, input.into(), DateTime::UNIX_EPOCH)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(start(trip(6)), Err("for this input both `one` and `two` are the pivot; only one may be".into()));
    let no_pivot =
        "for this input `tell` comes after no pivot that applies: it could run while the saga may still be undone";
    assert_eq!(start(trip(1)), Err(no_pivot.into()));
    let wrong =
        "the input is not what `conditional` version 1 takes: invalid type: string \"x\", expected u8 at /flags";
    assert_eq!(start(json!({"flags": "x", "note": ""})), Err(wrong.into()));
    let missing = "the input is not what `conditional` version 1 takes: missing field `flags`";
    assert_eq!(start(json!({"note": ""})), Err(missing.into()));
    let large = start(json!({"flags": 2, "note": "x".repeat(PAYLOAD_BYTES_MAX)}));
    assert_eq!(large, Err("the input has 65557 bytes, more than 65536".into()));
}

#[test]
fn a_condition_that_panics_refuses_the_start() {
    let mut saga = Builder::<Trip>::new("broken", 1);
    let panics = |_: &Trip| -> bool { panic!("no idea") };
    saga.step("hold")
        .when(panics)
        .command(|trip, ()| Probe { note: trip.note.clone(), said: vec![] })
        .compensate(unprobe)
        .add();
    let id = SagaId::from_uuid(uuid::Uuid::from_u128(1));
    let error = machine::start(&saga.build().unwrap(), id, None, trip(0).into(), DateTime::UNIX_EPOCH).unwrap_err();
    assert!(matches!(error, StartError::Undecidable { .. }));
    assert_eq!(
        error.to_string(),
        "whether step `hold` applies cannot be told: a function of the definition panicked: no idea"
    );
}

#[test]
fn attributes_are_read_from_the_input_and_one_that_is_no_word_refuses_the_start() {
    let mut saga = Builder::<Trip>::new("trip", 1);
    saga.attribute("flags", |trip| Some(trip.flags));
    saga.attribute("note", |trip| (!trip.note.is_empty()).then(|| trip.note.clone()));
    saga.attribute("odd", |trip| Some(100 / (trip.flags % 100)));
    saga.step("hold").command(|trip, ()| Probe { note: trip.note.clone(), said: vec![] }).compensate(unprobe).add();
    let saga = saga.build().unwrap();
    assert_eq!(saga.attribute_names().collect::<Vec<_>>(), ["flags", "note", "odd"]);
    let of = |flags: u8, note: &str| {
        let input = serde_json::json!({ "flags": flags, "note": note });
        machine::attributes(&saga, &input.into()).map(|attributes| attributes.to_string()).map_err(|e| e.to_string())
    };
    assert_eq!(of(4, "lagoon"), Ok("flags:4,note:lagoon,odd:25".into()));
    assert_eq!(of(50, ""), Ok("flags:50,odd:2".into()));
    let spaced = of(4, "by the lagoon").unwrap_err();
    assert!(spaced.starts_with("an attribute of `trip` cannot be kept: `by the lagoon` is not"), "{spaced}");
    let panicked = of(0, "").unwrap_err();
    assert!(
        panicked.starts_with("the attribute `odd` cannot be told: a function of the definition panicked"),
        "{panicked}"
    );
    assert!(machine::attributes(&saga, &serde_json::json!({ "note": 7 }).into()).is_err());
}

/// Commands that cannot be built, chosen by the flags: 1 before the pivot, 2 the pivot, 4 after it, 8 the undoing.
fn unbuildable() -> Definition {
    fn build(trip: &Trip, flag: u8) -> Probe {
        assert!(trip.flags & flag == 0, "cannot be built");
        Probe { note: trip.note.clone(), said: Vec::new() }
    }
    let mut saga = Builder::<Trip, Learned>::new("unbuildable", 1);
    let create = saga.step("create").command(probe).compensate(unprobe).add();
    let hold =
        saga.step("hold").after([create]).command(|trip, _| build(trip, 1)).compensate(|trip, _| build(trip, 8)).add();
    let confirm = saga.step("confirm").pivot().after([hold]).command(|trip, _| build(trip, 2)).add();
    saga.step("tell").retriable().after([confirm]).command(|trip, _| build(trip, 4)).add();
    saga.build().unwrap()
}

#[test]
fn a_command_that_cannot_be_built_is_never_a_panic() {
    let mut talk = Talk::begin(unbuildable(), 1);
    let turned = "create done; turn around (hold/mapping_panicked); send undo create 1.1; => compensating";
    assert_eq!(talk.done("create"), turned);

    let mut talk = Talk::begin(unbuildable(), 2);
    talk.done("create");
    let turned = "hold done; turn around (confirm/mapping_panicked); send undo hold 1.1; => compensating";
    assert_eq!(talk.done("hold"), turned);

    let mut talk = Talk::begin(unbuildable(), 4);
    talk.done("create");
    talk.done("hold");
    assert_eq!(talk.done("confirm"), "confirm done; tell needs attention (mapping_panicked); => needs_attention");
    assert_eq!(
        talk.done("tell"),
        "unknown: this saga never sent `saga_00000000000000000000000000000007:tell:action:1`"
    );
    assert_eq!(talk.act(Action::Retry { step: None }), "ann acts: retry; tell needs attention (mapping_panicked)");
    let skip = Action::Skip { step: name("tell"), reply: json!({"said": "by phone"}), force: false };
    assert_eq!(talk.act(skip), "ann acts: skip; tell skipped; completed; => completed");

    let mut talk = Talk::begin(unbuildable(), 8);
    talk.done("create");
    let stuck = "hold refused (no); turn around (hold/no); send undo create 1.1; => compensating";
    assert_eq!(talk.refused("hold", Op::Action), stuck);
    let mut talk = Talk::begin(unbuildable(), 8);
    talk.done("create");
    talk.done("hold");
    let stuck = "confirm refused (no); turn around (confirm/no); undo hold needs attention (mapping_panicked); => needs_attention";
    assert_eq!(talk.refused("confirm", Op::Action), stuck);
}

#[test]
fn a_command_too_large_for_a_message_is_a_cause_of_its_own() {
    let mut saga = Builder::<Trip, Learned>::new("growing", 1);
    let create = saga.step("create").command(probe).on_reply(learn).compensate(unprobe).add();
    saga.step("hold").after([create]).command(probe).compensate(unprobe).add();
    let mut talk = Talk::begin(saga.build().unwrap(), 0);
    let large = talk.reply("create", Op::Action, Outcome::done(json!({"said": "x".repeat(PAYLOAD_BYTES_MAX)})));
    let turned = "create done; turn around (hold/command_too_large); send undo create 1.1; => compensating";
    assert_eq!(talk.hear(&large), turned);
}

#[test]
fn overlong_words_of_participants_are_cut() {
    let mut talk = begin();
    let refused = talk.reply("create", Op::Action, Outcome::refused(&"c\u{e9}".repeat(100), "m\u{e9}".repeat(10_000)));
    talk.hear(&refused);
    let cause = talk.state.cause.clone().unwrap();
    assert!(cause.code.len() <= 64 && cause.message.len() <= contract::limits::ERROR_TEXT_BYTES_MAX);
    assert_eq!(talk.state.status, SagaStatus::Compensated, "nothing had happened yet");
}

#[test]
fn both_steps_whose_replies_are_missing_are_asked_again_together() {
    let mut talk = begin();
    talk.done("create");
    assert_eq!(talk.missing("flights", Op::Action), "flights failed (reply_missing, in doubt), waits");
    assert_eq!(talk.missing("rooms", Op::Action), "rooms failed (reply_missing, in doubt), waits");
    talk.now += TimeDelta::milliseconds(900);
    assert_eq!(talk.hear(&Input::TimePassed), "send flights 1.2; send rooms 1.2");
    assert!(matches!(talk.state.progress(&name("rooms"), Op::Action).unwrap().phase, Phase::Outstanding { .. }));
}

#[test]
fn a_saga_without_a_pivot_can_be_cancelled_to_its_end_and_a_diagram_shows_every_step() {
    let mut saga = Builder::<Trip, Learned>::new("hold-only", 1);
    saga.deadline(Duration::from_secs(60));
    let first = saga.step("first").command(probe).compensate(unprobe).retry(FEW).add();
    saga.step("second").after([first]).when(|trip| trip.flags != 1).command(probe).compensate(unprobe).retry(FEW).add();
    let definition = saga.build().unwrap();
    let drawing = machine::mermaid(&definition);
    assert!(drawing.contains("first --> second") && drawing.contains("undo: order.unprobe"), "{drawing}");
    let mut talk = Talk::begin(definition, 0);
    talk.done("first");
    assert_eq!(
        talk.hear(&act(Action::Cancel {})),
        "ann acts: cancel; turn around (saga_cancelled); send undo second 1.1; => compensating"
    );
}
