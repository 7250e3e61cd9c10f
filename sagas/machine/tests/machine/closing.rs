//! Sagas that are abandoned while there is something to close (S30).

use std::time::Duration;

use chrono::TimeDelta;
use contract::{
    saga::{Action, SagaStatus},
    step::Op,
};
use machine::{Builder, Definition, Input, resume, testing::check_definition};
use serde_json::json;

use crate::common::{AGAIN, FEW, Learned, Talk, Trip, at_pivot, probe, replies, trip, unprobe};

/// create (C) -> confirm (P) -> tell (R), with a command that closes what an abandoned saga was about.
pub(crate) fn closable() -> Definition {
    let mut saga = Builder::<Trip, Learned>::new("closable", 1);
    saga.deadline(Duration::from_secs(120)).must_succeed(AGAIN).on_abandon(unprobe);
    let create = saga.step("create").command(probe).compensate(unprobe).retry(FEW).add();
    let confirm = saga.step("confirm").pivot().after([create]).command(probe).add();
    saga.step("tell").retriable().after([confirm]).command(probe).add();
    saga.build().unwrap()
}

fn begin() -> Talk {
    Talk::begin(closable(), 0)
}

#[test]
fn an_abandoned_saga_has_ended_only_when_its_business_object_is_closed() {
    let mut talk = begin();
    talk.done("create");
    assert_eq!(talk.act(Action::Abandon {}), "ann acts: abandon; close (given_up); send close 1.1");
    let command = &talk.sent[0];
    assert_eq!(command.payload.get(), r#"{"note":"a trip","because":"given_up"}"#);
    assert_eq!(command.expires_at, None, "it must succeed in the end");
    assert_eq!(talk.done("confirm"), "ignored: the saga was given up");
    assert!(talk.act(Action::Abandon {}).starts_with("refused: saga_closing"));
    assert!(talk.act(Action::Cancel {}).starts_with("refused: saga_closing"));
    assert_eq!(talk.done("close"), "close done; abandoned; => abandoned");
}

#[test]
fn it_is_closed_past_the_pivot_and_while_it_is_being_undone_too() {
    for past_pivot in [true, false] {
        let mut talk = begin();
        if past_pivot {
            talk.done("create");
            talk.done("confirm");
            talk.refused("tell", Op::Action);
        } else {
            talk.act(Action::Cancel {});
            talk.refused("create", Op::Compensation);
        }
        assert_eq!(talk.state.status, SagaStatus::NeedsAttention);
        talk.act(Action::Abandon {});
        assert_eq!(talk.done("close"), "close done; abandoned; => abandoned");
    }
}

#[test]
fn closing_is_retried_without_end_and_no_deadline_turns_it_around() {
    let mut talk = begin();
    talk.act(Action::Abandon {});
    for _ in 0..50 {
        assert!(talk.faulted("close", Op::Action).contains("waits"));
        talk.wait();
    }
    talk.now += TimeDelta::hours(1);
    assert_eq!(talk.hear(&Input::TimePassed), "ignored: nothing is due");
    assert_eq!(resume(&talk.definition, &talk.state).len(), 1, "a takeover sends it again");
    assert_eq!(talk.done("close"), "close done; abandoned; => abandoned");
}

#[test]
fn a_person_is_asked_when_closing_is_refused_and_may_say_that_it_is_closed() {
    let mut talk = begin();
    talk.act(Action::Abandon {});
    assert!(talk.refused("close", Op::Action).contains("close needs attention (no)"));
    let reply = json!({"said": 7});
    let step = machine::Definition::closing(&talk.definition).unwrap().name().clone();
    assert!(talk.act(Action::Skip { step: step.clone(), reply: json!(7), force: false }).starts_with("refused"));
    assert_eq!(
        talk.act(Action::Skip { step, reply, force: false }),
        "ann acts: skip; close skipped; abandoned; => abandoned"
    );
}

#[test]
fn a_saga_with_nothing_to_close_is_abandoned_at_once() {
    assert_eq!(at_pivot().act(Action::Abandon {}), "ann acts: abandon; abandoned; => abandoned");
}

#[test]
fn the_free_tests_hold_for_a_saga_with_something_to_close() {
    check_definition(&closable(), &trip(0), &replies).unwrap();
}
