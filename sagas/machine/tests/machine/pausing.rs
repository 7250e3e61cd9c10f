//! Paused sagas: what they hear is journaled, what they would send waits, and what they hold is kept or undone in time.

use chrono::TimeDelta;
use contract::{
    command::Outcome,
    saga::{Action, PauseClock, PausedHolds, SagaStatus},
    step::Op,
};
use machine::{Input, State};

use crate::{
    common::{Talk, approval, at_pivot, begin, name, pause},
    holds::{held_for, holding},
};

fn pause_with(clock: PauseClock, holds: PausedHolds) -> Action {
    Action::Pause { clock, holds }
}

fn running() -> Action {
    pause_with(PauseClock::Run, PausedHolds::Keep)
}

fn later(talk: &mut Talk, time: TimeDelta) -> String {
    talk.now += time;
    talk.hear(&Input::TimePassed)
}

/// The hold is taken for so long, and the saga waits for its approval.
fn held(seconds: i64) -> Talk {
    let mut talk = Talk::begin(holding(), 0);
    let reply = held_for(&talk, seconds);
    let input = talk.reply("hold", Op::Action, Outcome::done(reply));
    talk.hear(&input);
    talk
}

#[test]
fn what_is_under_way_comes_to_its_end_and_what_follows_waits_for_the_end_of_the_pause() {
    let mut talk = begin();
    assert_eq!(talk.act(pause()), "ann acts: pause; paused (freeze, keep)");
    assert!(!talk.state.is_quiescent(), "create is under way");
    assert_eq!(talk.act(pause()), "ignored: it is paused already");
    assert_eq!(talk.done("create"), "create done");
    assert!(talk.state.is_quiescent());
    assert_eq!((talk.next_wake(), talk.sent.len()), (None, 0));
    let said = talk.act(Action::Resume {});
    assert_eq!(said, "ann acts: resume; resumed; send flights 1.1; send rooms 1.1");
    assert_eq!(talk.act(Action::Resume {}), "ignored: it is not paused");
}

#[test]
fn a_frozen_clock_moves_the_deadline_by_the_whole_pause_once() {
    let mut talk = begin();
    let deadline = talk.state.deadline_at.unwrap();
    talk.act(pause());
    // The reply is overdue meanwhile, which alone would make the clock stand too.
    assert_eq!(later(&mut talk, TimeDelta::hours(1)), "ignored: nothing is due");
    assert_eq!(talk.done("create"), "create done");
    talk.now += TimeDelta::hours(1);
    talk.act(Action::Resume {});
    assert_eq!(talk.state.deadline_at, Some(deadline + TimeDelta::hours(2)));
    assert_eq!(talk.state.status, SagaStatus::Running);
}

#[test]
fn a_running_clock_turns_the_saga_around_at_its_deadline_and_the_undoing_waits() {
    let mut talk = begin();
    talk.act(running());
    talk.done("create");
    assert_eq!(talk.next_wake(), talk.state.deadline_at);
    assert_eq!(talk.wait(), "turn around (deadline_passed); => compensating");
    assert_eq!(talk.act(Action::Resume {}), "ann acts: resume; resumed; send undo create 1.1");
}

#[test]
fn retries_wait_and_their_deadline_runs_when_the_clock_runs() {
    let mut talk = begin();
    talk.faulted("create", Op::Action);
    talk.act(running());
    assert_eq!(talk.next_wake(), talk.state.deadline_at, "the retry is held back");
    assert_eq!(later(&mut talk, TimeDelta::seconds(60)), "ignored: nothing is due");
    assert_eq!(talk.act(Action::Resume {}), "ann acts: resume; resumed; send create 1.2");
    talk.faulted("create", Op::Action);
    talk.act(running());
    assert_eq!(talk.wait(), "turn around (deadline_passed); => compensating");
}

#[test]
fn waits_and_timers_keep_what_was_left_of_them_while_the_clock_is_frozen() {
    let mut talk = Talk::begin(approval(), 0);
    talk.done("create");
    let wake = |state: &State, step: &str| state.progress(&name(step), Op::Action).unwrap().wake_at();
    let miss_at = wake(&talk.state, "approval").unwrap();
    talk.act(pause());
    assert_eq!(later(&mut talk, TimeDelta::hours(5)), "ignored: nothing is due");
    assert_eq!(talk.act(Action::Resume {}), "ann acts: resume; resumed");
    assert_eq!(wake(&talk.state, "approval"), Some(miss_at + TimeDelta::hours(5)));
    assert_eq!(talk.signal("approval", "one").split("; ").count(), 3);
    let fire_at = wake(&talk.state, "cool-down").unwrap();
    talk.act(running());
    talk.now = fire_at;
    assert_eq!(talk.hear(&Input::TimePassed), "the time of cool-down comes");
    assert_eq!(talk.act(Action::Resume {}), "ann acts: resume; resumed; send confirm 1.1");
}

#[test]
fn a_signal_that_comes_meanwhile_is_taken_and_its_consequences_wait() {
    let mut talk = Talk::begin(approval(), 0);
    talk.done("create");
    talk.act(pause());
    assert_eq!(talk.signal("approval", "one"), "approval received (one); approval takes one");
    assert_eq!(talk.act(Action::Resume {}), "ann acts: resume; resumed; cool-down waits for its time");
}

#[test]
fn a_refusal_meanwhile_turns_the_saga_around_and_the_undoing_waits() {
    let mut talk = begin();
    talk.done("create");
    talk.done("flights");
    talk.act(pause());
    assert_eq!(talk.refused("rooms", Op::Action), "rooms refused (no); turn around (rooms/no); => compensating");
    assert_eq!(talk.act(Action::Resume {}), "ann acts: resume; resumed; send undo flights 1.1");
}

#[test]
fn what_is_held_is_extended_during_a_pause() {
    let mut talk = held(900);
    talk.act(pause());
    assert_eq!(talk.next_wake(), Some(talk.now + TimeDelta::seconds(860)));
    assert_eq!(talk.wait(), "hold is to be extended; send extend hold 1.1");
    assert_eq!(talk.faulted("hold", Op::Extension), "extend hold failed (broken), waits");
    assert_eq!(talk.wait(), "send extend hold 1.2");
    let reply = held_for(&talk, 900);
    let extended = talk.reply("hold", Op::Extension, Outcome::done(reply));
    assert_eq!(talk.hear(&extended), "extend hold done");
    assert!(talk.state.pause.is_some());
}

#[test]
fn what_cannot_be_kept_is_undone_in_time_and_that_ends_the_pause() {
    let mut talk = held(900);
    talk.act(pause());
    talk.wait();
    let said = talk.refused("hold", Op::Extension);
    let turned =
        "extend hold refused (no); resumed; turn around (hold/hold_expired); send undo hold 1.1; => compensating";
    assert_eq!(said, turned);
    assert_eq!(talk.state.pause, None);
}

#[test]
fn what_may_lapse_is_left_alone_and_asked_for_once_more_when_the_saga_is_resumed() {
    let mut talk = held(900);
    talk.act(pause_with(PauseClock::Freeze, PausedHolds::Lapse));
    assert_eq!(talk.next_wake(), None);
    assert_eq!(later(&mut talk, TimeDelta::hours(1)), "ignored: nothing is due");
    let said = talk.act(Action::Resume {});
    assert_eq!(
        said, "ann acts: resume; resumed; hold is to be extended; send extend hold 1.1",
        "it is asked for once more"
    );
    let said = talk.refused("hold", Op::Extension);
    let turned = "extend hold refused (no); turn around (hold/hold_expired); send undo hold 1.1; => compensating";
    assert_eq!(said, turned);
}

#[test]
fn a_cancel_ends_the_pause_and_an_abandon_the_saga() {
    let mut talk = begin();
    talk.done("create");
    talk.act(pause());
    let cancelled = talk.act(Action::Cancel {});
    let turned = "ann acts: cancel; resumed; turn around (saga_cancelled); send undo create 1.1; => compensating";
    assert_eq!(cancelled.replace("flights 1.1; send undo rooms 1.1", "create 1.1"), turned);
    talk.act(pause());
    assert_eq!(talk.act(Action::Abandon {}), "ann acts: abandon; abandoned; => abandoned");
    assert_eq!(talk.state.pause, None);
}

#[test]
fn a_retry_is_refused_during_a_pause_and_other_rules_need_a_new_one() {
    let mut talk = begin();
    talk.faulted("create", Op::Action);
    talk.act(pause());
    let refused = talk.act(Action::Retry { step: None });
    assert_eq!(refused, "refused: saga_paused: the saga is paused: nothing is sent until it is resumed");
    let refused = talk.act(running());
    assert_eq!(refused, "refused: saga_paused: the saga is paused: under other rules; resume it first");
}

#[test]
fn after_the_pivot_a_pause_holds_back_what_must_succeed_and_the_last_reply_ends_the_saga() {
    let mut talk = at_pivot();
    talk.act(pause());
    assert_eq!(talk.done("confirm"), "confirm done");
    talk.act(Action::Resume {});
    talk.done("tell");
    talk.act(pause());
    assert_eq!(talk.done("bill"), "bill done; completed; => completed");
}
