//! Steps that turn out on the way to be needed or not.

use contract::{
    orchestrator_api::PlannedWhen,
    saga::{Action, SagaStatus, StepStatus},
    step::Op,
};
use machine::{Builder, plan, testing::check_definition};
use serde_json::{Value, json};

use crate::common::{FEW, Learned, Talk, Trip, payment, probe, replies, status_of, trip, unprobe};

fn begin() -> Talk {
    Talk::begin(payment(), 0)
}

#[test]
fn a_step_that_is_not_needed_counts_as_done_and_lets_those_behind_it_begin() {
    let mut talk = begin();
    assert_eq!(
        talk.says("authorize", "fine"),
        "authorize done; action is not needed; complete is not needed; send capture 1.1"
    );
    assert_eq!(status_of(&talk, "action"), StepStatus::NotApplicable);
    assert_eq!(talk.done("capture"), "capture done; completed; => completed");
}

#[test]
fn a_step_that_is_needed_does_its_work() {
    let mut talk = begin();
    assert_eq!(talk.says("authorize", "act"), "authorize done; action awaits action for a time");
    assert_eq!(talk.signal("action", "one"), "action received (one); action takes one; send complete 1.1");
    assert_eq!(talk.done("complete"), "complete done; send capture 1.1");
}

#[test]
fn a_signal_that_is_early_is_kept_and_one_for_a_step_that_was_passed_changes_nothing() {
    let mut early = begin();
    assert_eq!(early.signal("action", "one"), "action received (one)");
    assert_eq!(early.says("authorize", "act"), "authorize done; action takes one; send complete 1.1");
    let mut late = begin();
    late.says("authorize", "fine");
    assert_eq!(late.signal("action", "one"), "ignored: no step waits for it any more");
}

#[test]
fn a_step_that_was_not_needed_is_not_undone() {
    let mut talk = begin();
    talk.says("authorize", "fine");
    assert_eq!(
        talk.refused("capture", Op::Action),
        "capture refused (no); turn around (capture/no); send undo authorize 1.1; => compensating"
    );
    assert_eq!(talk.undone("authorize"), "undo authorize done; compensated; => compensated");
}

#[test]
fn a_command_that_was_sent_stays_needed_when_it_is_sent_again() {
    let mut talk = begin();
    talk.says("authorize", "act");
    talk.signal("action", "one");
    talk.faulted("complete", Op::Action);
    assert_eq!(talk.wait(), "send complete 1.2");
}

#[test]
fn a_condition_that_panics_turns_the_saga_around() {
    let mut saga = Builder::<Trip, Learned>::new("trip", 1);
    let hold = saga.step("hold").command(probe).compensate(unprobe).retry(FEW).add();
    let more = saga.step("more").after([hold]).if_needed(|_, learned| learned.said[7].is_empty()).command(probe);
    let more = more.compensate(unprobe).retry(FEW).add();
    saga.step("confirm").pivot().after([more]).command(probe).add();
    let mut talk = Talk::begin(saga.build().unwrap(), 0);
    assert_eq!(
        talk.done("hold"),
        "hold done; turn around (more/mapping_panicked); send undo hold 1.1; => compensating"
    );
}

#[test]
fn a_plan_tells_what_is_sent_only_if_it_is_needed() {
    let mut talk = begin();
    talk.faulted("authorize", Op::Action);
    let planned = plan(&talk.definition, talk.state.clone(), &Action::Retry { step: None }, talk.now);
    let planned: Vec<_> = planned.commands.iter().map(|command| (command.step.as_str(), command.when)).collect();
    let [now, perhaps, then] = [PlannedWhen::Now, PlannedWhen::IfNeeded, PlannedWhen::AfterReplies];
    assert_eq!(planned, [("authorize", now), ("complete", perhaps), ("capture", then)]);
}

#[test]
fn the_free_tests_hold_whether_the_steps_are_needed_or_not() {
    let act =
        |command: &str| -> Value { if command == "order.probe" { json!({"said": "act"}) } else { replies(command) } };
    check_definition(&payment(), &trip(0), &replies).unwrap();
    check_definition(&payment(), &trip(0), &act).unwrap();
    let mut talk = begin();
    talk.says("authorize", "act");
    talk.act(Action::Cancel {});
    talk.undone("authorize");
    assert_eq!(talk.state.status, SagaStatus::Compensated);
}
