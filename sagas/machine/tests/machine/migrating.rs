//! Which running sagas another version takes over, and how they go on under it.

use std::time::Duration;

use contract::{saga::SagaStatus, step::Op};
use machine::{
    Builder, Definition, Input, Operator, StepHandle, Terms, Verdict, decide, evolve, migrate, obstacles, resume,
};
use serde_json::json;

use crate::common::{AGAIN, Approval, FEW, Learned, Talk, Trip, learn_approval, name, probe, unprobe, words};

type Saga = Builder<Trip, Learned>;

fn version(version: u32, build: impl FnOnce(&mut Saga)) -> Definition {
    let mut saga = Saga::new("journey", version);
    saga.deadline(Duration::from_secs(120)).before_pivot(FEW).must_succeed(AGAIN);
    build(&mut saga);
    saga.build().unwrap()
}

fn held(saga: &mut Saga, name: &str, after: &[StepHandle]) -> StepHandle {
    saga.step(name).after(after.iter().copied()).command(probe).compensate(unprobe).add()
}

/// create -> rooms -> confirm (pivot)
fn first() -> Definition {
    version(1, |saga| {
        let create = held(saga, "create", &[]);
        let rooms = held(saga, "rooms", &[create]);
        saga.step("confirm").pivot().after([rooms]).command(probe).add();
    })
}

/// create -> rooms -> approval (a signal) -> confirm (pivot) -> tell
fn second() -> Definition {
    version(2, |saga| {
        let create = held(saga, "create", &[]);
        let rooms = held(saga, "rooms", &[create]);
        let approval = saga.step("approval").after([rooms]).signal::<Approval>("approval");
        let approval = approval.within(Duration::from_secs(60)).on_signal(learn_approval).add();
        let confirm = saga.step("confirm").pivot().after([approval]).command(probe).add();
        saga.step("tell").retriable().after([confirm]).command(probe).add();
    })
}

/// Lets `to` take the saga over; what was decided, in words.
fn take_over(talk: &mut Talk, to: Definition) -> String {
    let operator = Operator { actor: "ann".into(), role: "operator".into(), reason: "the new version asks".into() };
    let decision = migrate(&talk.definition, &to, talk.state.clone(), &operator, Terms::default(), talk.now);
    let said = words(&decision, talk.state.status);
    // What is journaled adds up to the state that was decided.
    let mut replayed = talk.state.clone();
    decision.entries.iter().for_each(|entry| evolve(&mut replayed, entry));
    assert_eq!(replayed, decision.state);
    let accepted = matches!(decision.verdict, Verdict::Accepted);
    (talk.state, talk.sent) = (decision.state, decision.commands);
    if accepted {
        talk.definition = to;
    }
    said
}

#[track_caller]
fn keeps(talk: &Talk, to: &Definition, expected: &[&str]) {
    let found: Vec<_> = obstacles(&talk.definition, to, &talk.state).iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_saga_goes_on_under_the_version_that_took_it_over() {
    let mut talk = Talk::begin(first(), 0);
    talk.done("create");
    let said = take_over(&mut talk, second());
    assert!(said.contains("ann acts: migrate") && said.contains("now version 2"), "{said}");
    assert_eq!((talk.state.version, talk.state.status), (2, SagaStatus::Running));
    assert!(talk.sent.is_empty(), "rooms is under way already, and is not sent again");
    assert!(resume(&talk.definition, &talk.state).iter().any(|sent| sent.command_id.step == name("rooms")));

    talk.done("rooms");
    talk.signal("approval", "ann");
    talk.done("confirm");
    talk.done("tell");
    assert_eq!(talk.state.status, SagaStatus::Completed);
}

#[test]
fn a_saga_that_was_taken_over_is_undone_as_before() {
    let mut talk = Talk::begin(first(), 0);
    talk.done("create");
    take_over(&mut talk, second());
    talk.refused("rooms", Op::Action);
    talk.undone("create");
    assert_eq!(talk.state.status, SagaStatus::Compensated);
}

#[test]
fn a_saga_on_its_way_back_is_taken_over_when_its_undoing_is_the_same() {
    let mut talk = Talk::begin(first(), 0);
    talk.done("create");
    talk.refused("rooms", Op::Action);
    take_over(&mut talk, second());
    talk.undone("create");
    assert_eq!((talk.state.version, talk.state.status), (2, SagaStatus::Compensated));
}

#[test]
fn a_step_that_should_have_come_before_keeps_a_saga_where_it_is() {
    let mut talk = Talk::begin(first(), 0);
    talk.done("create");
    talk.done("rooms");
    keeps(&talk, &second(), &["that version has step `approval` before `confirm`, which was begun without it"]);
    let said = take_over(&mut talk, second());
    assert!(said.contains("migration_impossible"), "{said}");
    assert_eq!(talk.state.version, 1);
}

#[test]
fn steps_that_are_gone_or_changed_keep_a_saga_where_it_is() {
    let mut talk = Talk::begin(first(), 0);
    talk.done("create");
    let gone = version(3, |saga| {
        let create = held(saga, "create", &[]);
        saga.step("confirm").pivot().after([create]).command(probe).add();
    });
    keeps(&talk, &gone, &["step `rooms` was begun, and that version has no such step"]);
    let changed = version(3, |saga| {
        let create = held(saga, "create", &[]);
        let rooms =
            saga.step("rooms").after([create]).signal::<Approval>("rooms").within(Duration::from_secs(60)).add();
        saga.step("confirm").pivot().after([rooms]).command(probe).add();
    });
    keeps(&talk, &changed, &["step `rooms` was begun, and that version does something else in it"]);
    let conditional = version(3, |saga| {
        let create = held(saga, "create", &[]);
        let rooms = saga.step("rooms").when(|trip| trip.flags == 1).after([create]);
        let rooms = rooms.command(probe).compensate(unprobe).add();
        saga.step("confirm").pivot().after([rooms]).command(probe).add();
    });
    keeps(&talk, &conditional, &["step `rooms` was begun, and does not apply in that version"]);
}

#[test]
fn conditions_are_judged_anew_for_the_steps_that_are_still_to_come() {
    let conditional = |number, flag: fn(&Trip) -> bool| {
        version(number, |saga| {
            let create = held(saga, "create", &[]);
            let rooms = saga.step("rooms").when(flag).after([create]).command(probe).compensate(unprobe).add();
            saga.step("confirm").pivot().after([rooms]).command(probe).add();
        })
    };
    let mut talk = Talk::begin(conditional(1, |trip| trip.flags == 1), 0);
    let to = conditional(2, |trip| trip.flags == 0);
    take_over(&mut talk, to);
    talk.done("create");
    assert_eq!(talk.sent.iter().map(|sent| sent.command_id.step.as_str()).collect::<Vec<_>>(), ["rooms"]);
}

#[test]
fn only_another_version_of_the_same_saga_takes_over() {
    let talk = Talk::begin(first(), 0);
    keeps(&talk, &first(), &["the saga is of `journey` version 1, which is not another version of `journey`"]);
    let mut other = Saga::new("trip", 2);
    held(&mut other, "create", &[]);
    keeps(
        &talk,
        &other.build().unwrap(),
        &["the saga is of `journey` version 1, which is not another version of `trip`"],
    );
}

#[test]
fn a_migration_is_carried_out_once_however_often_it_is_asked() {
    let mut talk = Talk::begin(first(), 0);
    let operator = Operator { actor: "ann".into(), role: "operator".into(), reason: "because".into() };
    let request_id = Some(contract::RequestId::from_uuid(uuid::Uuid::from_u128(9)));
    let terms = Terms { request_id, expires_at: None };
    let first_time = migrate(&talk.definition, &second(), talk.state.clone(), &operator, terms, talk.now);
    assert_eq!(first_time.verdict, Verdict::Accepted);
    talk.state = first_time.state;
    let again = migrate(&first(), &second(), talk.state.clone(), &operator, terms, talk.now);
    assert!(matches!(again.verdict, Verdict::Ignored(_)), "{:?}", again.verdict);
}

#[test]
fn a_program_that_does_not_know_the_version_refuses() {
    let talk = Talk::begin(first(), 0);
    let operator = Operator { actor: "ann".into(), role: "operator".into(), reason: "because".into() };
    let action = serde_json::from_value(json!({ "action": "migrate", "version": 9 })).unwrap();
    let input = Input::Operator { operator, action, terms: Terms::default() };
    let decision = decide(&talk.definition, talk.state.clone(), &input, talk.now);
    let Verdict::Refused { code, message } = decision.verdict else { panic!("{:?}", decision.verdict) };
    assert_eq!((code, message.as_str()), ("migration_impossible", "this program does not know `journey` version 9"));
}
