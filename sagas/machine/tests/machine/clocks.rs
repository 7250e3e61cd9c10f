//! The rules of the machine about time: deadlines, clocks that stand, commands that expire.

use std::time::Duration;

use chrono::TimeDelta;
use contract::step::Op;
use machine::{Builder, Input};

use crate::common::{AGAIN, FEW, Learned, Talk, Trip, at_pivot, begin, name, probe, unprobe};

/// A saga whose deadline comes before any reply is due.
fn hasty() -> Talk {
    let mut saga = Builder::<Trip, Learned>::new("hasty", 1);
    saga.deadline(Duration::from_secs(5));
    let create = saga.step("create").command(probe).compensate(unprobe).retry(FEW).add();
    let hold = saga.step("hold").after([create]).command(probe).compensate(unprobe).retry(FEW).add();
    saga.step("confirm").pivot().after([hold]).command(probe).retry(AGAIN).add();
    Talk::begin(saga.build().unwrap(), 0)
}

#[test]
fn the_deadline_counts_until_the_pivot_is_issued_and_not_after() {
    let mut talk = hasty();
    assert_eq!(talk.wait(), "turn around (deadline_passed); send undo create 1.1; => compensating");
    assert_eq!(talk.state.error_fingerprint().as_deref(), Some("saga/deadline_passed"));

    let at_pivot = || {
        let mut talk = hasty();
        talk.done("create");
        talk.done("hold");
        talk.now += TimeDelta::seconds(120);
        assert_eq!(talk.hear(&Input::TimePassed), "ignored: nothing is due");
        assert_eq!(talk.missing("confirm", Op::Action), "confirm failed (reply_missing, in doubt), waits");
        talk
    };
    assert_eq!(at_pivot().done("confirm"), "confirm done; completed; => completed");
    let turned = "confirm refused (no); turn around (confirm/no); send undo hold 1.1; => compensating";
    assert_eq!(at_pivot().refused("confirm", Op::Action), turned);
}

#[test]
fn a_saga_wakes_at_its_deadline_when_nothing_is_due_before_and_forgets_it_once_the_pivot_is_issued() {
    let mut talk = hasty();
    let started_at = talk.now;
    assert_eq!(talk.next_wake(), Some(started_at + TimeDelta::seconds(5)));
    talk.faulted("create", Op::Action);
    assert!(talk.next_wake().unwrap() < started_at + TimeDelta::seconds(1), "the retry comes first");
    talk.wait();
    talk.done("create");
    talk.done("hold");
    assert_eq!(talk.next_wake(), None, "the pivot's answer has no time");
    // A reply that is due before the deadline may make it stand: until then the saga has nothing to wake for.
    assert_eq!(begin().next_wake(), None);
}

#[test]
fn while_a_reply_is_overdue_the_clock_stands_and_the_deadline_moves_by_as_much() {
    let mut talk = begin();
    let deadline = talk.state.deadline_at.unwrap();
    talk.now += TimeDelta::hours(1);
    assert_eq!(talk.hear(&Input::TimePassed), "ignored: nothing is due");
    let done = "the clock stood for 3590 s; create done; send flights 1.1; send rooms 1.1";
    assert_eq!(talk.done("create"), done, "an hour of silence was no attempt and no deadline");
    assert_eq!(talk.state.deadline_at, Some(deadline + TimeDelta::seconds(3_590)));
    // Both stand from the same time on: it counts once.
    talk.now += TimeDelta::seconds(110);
    assert_eq!(talk.done("flights"), "the clock stood for 100 s; flights done");
    assert_eq!(talk.done("rooms"), "rooms done; send confirm 1.1");
    assert_eq!(talk.state.deadline_at, Some(deadline + TimeDelta::seconds(3_690)));
}

#[test]
fn a_clock_that_stood_under_a_second_or_that_nothing_depends_on_is_not_recorded() {
    let mut talk = begin();
    talk.now += TimeDelta::milliseconds(10_999);
    assert_eq!(talk.done("create"), "create done; send flights 1.1; send rooms 1.1");
    let mut talk = at_pivot();
    talk.now += TimeDelta::hours(1);
    assert_eq!(talk.done("confirm"), "confirm done; send tell 1.1; send bill 1.1");
}

#[test]
fn while_the_engine_itself_was_away_the_clock_stood_too() {
    let mut talk = begin();
    talk.faulted("create", Op::Action);
    talk.now += TimeDelta::hours(1);
    assert_eq!(talk.hear(&Input::TimePassed), "the clock stood for 3599 s; send create 1.2");
    assert_eq!(talk.done("create"), "create done; send flights 1.1; send rooms 1.1");
}

#[test]
fn a_step_beside_one_whose_domain_is_away_goes_on() {
    let mut talk = begin();
    talk.done("create");
    talk.now += TimeDelta::seconds(70);
    assert_eq!(talk.faulted("rooms", Op::Action), "the clock stood for 60 s; rooms failed (broken), waits");
    assert_eq!(talk.wait(), "send rooms 1.2");
    assert_eq!(talk.done("rooms"), "rooms done");
    talk.now += TimeDelta::hours(1);
    assert_eq!(talk.done("flights"), "the clock stood for 3600 s; flights done; send confirm 1.1");
}

#[test]
fn what_a_worker_finds_expired_was_no_attempt_and_is_sent_again_without_an_expiry() {
    let mut talk = begin();
    assert_eq!(talk.sent_expiries(), [talk.state.deadline_at]);
    for _ in 0..10 {
        assert_eq!(talk.expired("create", Op::Action), "create failed (command_expired, in doubt), waits");
        talk.wait();
        assert_eq!(talk.sent_expiries(), [None], "the worker's clock is ahead");
    }
    assert_eq!(talk.state.progress(&name("create"), Op::Action).unwrap().attempts, 1);
    talk.done("create");
    assert_eq!(talk.sent_expiries(), [talk.state.deadline_at, talk.state.deadline_at]);
    talk.done("flights");
    talk.done("rooms");
    assert_eq!(talk.sent_expiries(), [None], "the pivot's answer decides, however late");
    talk.refused("confirm", Op::Action);
    assert_eq!(talk.sent_expiries(), [None, None], "a compensation never expires");
}

#[test]
fn a_retry_that_a_clock_ahead_put_off_too_far_is_sent_now() {
    let mut talk = begin();
    talk.now += TimeDelta::minutes(10);
    talk.faulted("create", Op::Action);
    talk.now -= TimeDelta::minutes(10);
    assert_eq!(talk.next_wake(), Some(talk.now));
    assert_eq!(talk.hear(&Input::TimePassed), "send create 1.2");
}

#[test]
fn nothing_more_is_sent_once_the_deadline_has_passed_even_when_a_reply_is_heard_before_the_timer() {
    let mut talk = hasty();
    talk.now += TimeDelta::seconds(5);
    let turned = "create done; turn around (deadline_passed); send undo create 1.1; => compensating";
    assert_eq!(talk.done("create"), turned);
}
