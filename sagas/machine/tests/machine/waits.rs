//! Steps that wait for a signal or a time.

use std::time::Duration;

use chrono::TimeDelta;
use contract::saga::{Action, SagaStatus, StepStatus};
use machine::{Builder, Phase, testing::check_definition};
use serde_json::json;

use crate::common::{Approval, Learned, Talk, Trip, approval, name, probe, replies, signal, status_of, trip, unprobe};

fn begin() -> Talk {
    Talk::begin(approval(), 0)
}

#[test]
fn a_signal_wakes_its_step_once_however_often_it_comes() {
    let mut talk = begin();
    talk.done("create");
    assert_eq!(status_of(&talk, "approval"), StepStatus::Waiting);
    let first = talk.signal("approval", "one");
    assert_eq!(first, "approval received (one); approval takes one; cool-down waits for its time");
    assert_eq!(talk.signal("approval", "one"), "ignored: the signal came before");
    assert_eq!(talk.signal("approval", "two"), "ignored: no step waits for it any more");
    let reused = talk.hear(&signal("approval", "one", json!({"approved_by": "somebody else"})));
    assert!(reused.starts_with("refused: signal_id_reused"), "{reused}");
}

#[test]
fn an_early_signal_is_kept_for_its_step_and_a_second_one_is_not() {
    let mut talk = begin();
    assert_eq!(talk.signal("approval", "one"), "approval received (one)");
    assert_eq!(talk.signal("approval", "two"), "ignored: no step waits for it any more");
    assert_eq!(talk.done("create"), "create done; approval takes one; cool-down waits for its time");
    talk.wait();
    let said = talk.sent[0].payload.get();
    assert!(said.contains(r#""said":["create","one"]"#), "the steps behind it know the payload: {said}");
}

#[test]
fn an_unknown_signal_is_refused_with_those_that_are_expected() {
    let refused = begin().signal("approvall", "one");
    assert_eq!(
        refused,
        "refused: signal_unknown: `approval` waits for no signal `approvall`; expected are: approval, receipt"
    );
}

#[test]
fn a_missed_signal_turns_the_saga_around_and_what_comes_later_changes_nothing() {
    let mut talk = begin();
    talk.done("create");
    assert_eq!(
        talk.wait(),
        "approval misses its signal; turn around (approval/signal_missed); send undo create 1.1; => compensating"
    );
    assert_eq!(talk.signal("approval", "late"), "ignored: the saga was turned around");
    talk.undone("create");
    assert_eq!(talk.state.status, SagaStatus::Compensated);
    assert!(talk.signal("approval", "late").starts_with("refused: saga_finished"));
}

#[test]
fn a_saga_goes_on_without_a_signal_that_it_can_do_without() {
    let mut saga = Builder::<Trip, Learned>::new("news", 1);
    let create = saga.step("create").command(probe).compensate(unprobe).add();
    let news = saga.step("news").after([create]).signal::<Approval>("news");
    let news = news.within(Duration::from_secs(600)).or_go_on().add();
    saga.step("confirm").pivot().after([news]).command(probe).add();
    let definition = saga.build().unwrap();
    check_definition(&definition, &trip(0), &replies).unwrap();

    let mut talk = Talk::begin(definition, 0);
    talk.done("create");
    assert_eq!(talk.wait(), "news is not needed; send confirm 1.1");
    assert_eq!(status_of(&talk, "news"), StepStatus::NotApplicable);
    assert_eq!(talk.signal("news", "late"), "ignored: no step waits for it any more");
    assert_eq!(talk.done("confirm"), "confirm done; completed; => completed");
}

#[test]
fn a_signal_that_is_missed_after_the_pivot_asks_for_a_person_and_still_counts_when_it_comes() {
    let mut talk = begin();
    talk.signal("approval", "one");
    talk.done("create");
    talk.act(Action::FireTimer { step: name("cool-down") });
    talk.done("confirm");
    assert_eq!(talk.wait(), "receipt misses its signal; receipt needs attention (signal_missed); => needs_attention");
    assert_eq!(talk.signal("receipt", "late"), "receipt received (late); receipt takes late; completed; => completed");
}

#[test]
fn a_timer_is_fired_and_rescheduled_by_hand() {
    let mut talk = begin();
    talk.signal("approval", "one");
    talk.done("create");
    let at = talk.now + TimeDelta::minutes(5);
    let reschedule = Action::RescheduleTimer { step: name("cool-down"), at };
    assert_eq!(talk.act(reschedule.clone()), "ann acts: reschedule_timer; cool-down waits for its time");
    assert_eq!(talk.act(reschedule), "ignored: it is set to that time already");
    assert_eq!(talk.next_wake(), Some(at));
    assert_eq!(
        talk.act(Action::FireTimer { step: name("cool-down") }),
        "ann acts: fire_timer; the time of cool-down comes; send confirm 1.1"
    );
    assert!(talk.act(Action::FireTimer { step: name("cool-down") }).starts_with("refused: timer_not_set"));
}

#[test]
fn a_wait_for_a_signal_is_lengthened_by_hand() {
    let mut talk = begin();
    talk.done("create");
    let at = talk.now + TimeDelta::days(2);
    talk.act(Action::RescheduleTimer { step: name("approval"), at });
    assert_eq!(talk.next_wake(), Some(at));
    assert!(talk.signal("approval", "in-time").contains("approval takes in-time"));
}

#[test]
fn a_cancel_ends_a_wait_without_any_effect_to_undo() {
    let mut talk = begin();
    talk.done("create");
    talk.act(Action::Cancel {});
    assert_eq!(talk.state.progress(&name("approval"), contract::Op::Action).unwrap().phase, Phase::Idle);
    talk.undone("create");
    assert_eq!(talk.state.status, SagaStatus::Compensated);
}

#[test]
fn the_free_tests_hold_for_a_saga_with_waits() {
    check_definition(&approval(), &trip(0), &replies).unwrap();
}
