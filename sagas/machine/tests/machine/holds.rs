//! Holds that expire: what a saga holds is kept until its pivot is issued, or the saga is turned around in time.

use std::time::Duration;

use chrono::TimeDelta;
use contract::{command::Outcome, saga::SagaStatus, step::Op};
use machine::{Builder, Definition, Input};
use serde_json::{Value, json};

use crate::common::{AGAIN, Approval, FEW, Learned, Talk, Trip, learn, name, probe, unprobe};

/// hold (C, held until a time, extended) -> approval (signal, a day) -> confirm (P) -> tell (R).
pub(crate) fn holding() -> Definition {
    held("holding", true)
}

/// The same, with a hold that cannot be extended.
fn fleeting() -> Definition {
    held("fleeting", false)
}

fn held(name: &str, extends: bool) -> Definition {
    let mut saga = Builder::<Trip, Learned>::new(name, 1);
    let hold =
        saga.step("hold").command(probe).on_reply(learn).compensate(unprobe).retry(FEW).compensation_retry(AGAIN);
    let hold = hold.valid_until(|echo| echo.until);
    let hold = if extends { hold.extend(probe, |echo| echo.until).add() } else { hold.add() };
    let day = Duration::from_secs(86_400);
    let approval = saga.step("approval").after([hold]).signal::<Approval>("approval").within(day).add();
    let confirm = saga.step("confirm").pivot().after([approval]).command(probe).retry(AGAIN).add();
    saga.step("tell").retriable().after([confirm]).command(probe).retry(AGAIN).add();
    saga.build().expect("the definition has no mistake")
}

/// A reply that holds something until so many seconds from now.
pub(crate) fn held_for(talk: &Talk, seconds: i64) -> Value {
    json!({"said": "held", "until": talk.now + TimeDelta::seconds(seconds)})
}

/// The hold is taken for so long, and the saga waits for its approval.
fn begin(definition: Definition, held_s: i64) -> Talk {
    let mut talk = Talk::begin(definition, 0);
    let held = held_for(&talk, held_s);
    let input = talk.reply("hold", Op::Action, Outcome::done(held));
    talk.hear(&input);
    talk
}

fn extended(talk: &mut Talk, held_s: i64) -> String {
    let held = held_for(talk, held_s);
    let input = talk.reply("hold", Op::Extension, Outcome::done(held));
    talk.hear(&input)
}

/// Lets so many seconds pass at once.
fn later(talk: &mut Talk, seconds: i64) -> String {
    talk.now += TimeDelta::seconds(seconds);
    talk.hear(&Input::TimePassed)
}

#[test]
fn a_hold_that_a_wait_would_outlive_is_extended_again_and_again() {
    let mut talk = begin(holding(), 900);
    // The pivot's reply takes up to 10 s, and three sendings of the extension up to 30 s.
    assert_eq!(later(&mut talk, 859), "ignored: nothing is due");
    assert_eq!(later(&mut talk, 1), "hold is to be extended; send extend hold 1.1");
    assert_eq!(talk.sent[0].command_id.op, Op::Extension);
    assert_eq!(talk.sent[0].expires_at, Some(talk.now + TimeDelta::seconds(30)));
    assert_eq!(extended(&mut talk, 900), "extend hold done");
    assert_eq!(machine::holds_until(&talk.definition, &talk.state), Some(talk.now + TimeDelta::seconds(900)));
    assert_eq!(talk.next_wake(), Some(talk.now + TimeDelta::seconds(860)));
    assert_eq!(talk.wait(), "hold is to be extended; send extend hold 2.1", "each extension has a key of its own");
    extended(&mut talk, 900);
    assert_eq!(talk.signal("approval", "one"), "approval received (one); approval takes one; send confirm 1.1");
    assert_eq!(machine::holds_until(&talk.definition, &talk.state), None, "from the pivot on the confirmation decides");
}

#[test]
fn the_pivot_waits_for_an_extension_that_is_under_way() {
    let mut talk = begin(holding(), 900);
    later(&mut talk, 870);
    assert_eq!(talk.signal("approval", "one"), "approval received (one); approval takes one");
    assert_eq!(talk.faulted("hold", Op::Extension), "extend hold failed (broken), waits");
    assert_eq!(talk.wait(), "send extend hold 1.2");
    assert_eq!(extended(&mut talk, 900), "extend hold done; send confirm 1.1");
}

#[test]
fn a_refused_extension_turns_the_saga_around_with_the_reason_for_the_client() {
    let mut talk = begin(holding(), 900);
    later(&mut talk, 860);
    let said = talk.refused("hold", Op::Extension);
    assert_eq!(said, "extend hold refused (no); turn around (hold/hold_expired); send undo hold 1.1; => compensating");
    let cause = talk.state.cause.clone().unwrap();
    assert_eq!((cause.message.as_str(), cause.refused), ("the business says no", true));
    assert_eq!(talk.undone("hold"), "undo hold done; compensated; => compensated");
}

#[test]
fn an_extension_in_doubt_is_given_up_in_time_and_what_it_says_later_changes_nothing() {
    let mut talk = begin(holding(), 900);
    later(&mut talk, 860);
    assert_eq!(talk.missing("hold", Op::Extension), "extend hold failed (reply_missing, in doubt), waits");
    talk.wait();
    // Its domain is silent: no reply is missing, and the clock of the wall counts.
    let said = later(&mut talk, 30);
    assert_eq!(said, "turn around (hold/hold_expired); send undo hold 1.1; => compensating");
    assert!(!talk.state.cause.as_ref().unwrap().refused);
    assert_eq!(extended(&mut talk, 900), "ignored: the saga was turned around");
    talk.undone("hold");
    assert_eq!(talk.state.status, SagaStatus::Compensated);
}

#[test]
fn a_hold_that_cannot_be_extended_is_given_up_while_it_is_still_held() {
    let mut talk = begin(fleeting(), 900);
    assert_eq!(later(&mut talk, 889), "ignored: nothing is due");
    assert_eq!(later(&mut talk, 1), "turn around (hold/hold_expired); send undo hold 1.1; => compensating");
}

#[test]
fn a_signal_that_comes_when_the_hold_is_over_lets_no_pivot_go() {
    let mut talk = begin(fleeting(), 900);
    talk.now += TimeDelta::seconds(895);
    let said = talk.signal("approval", "one");
    assert!(said.ends_with("turn around (hold/hold_expired); send undo hold 1.1; => compensating"), "{said}");
}

#[test]
fn a_hold_that_is_over_when_the_engine_comes_back_is_asked_for_once_more_before_the_pivot() {
    let mut talk = begin(holding(), 900);
    talk.now += TimeDelta::hours(3);
    let said = talk.signal("approval", "one");
    assert_eq!(said, "approval received (one); approval takes one; hold is to be extended; send extend hold 1.1");
    assert_eq!(talk.next_wake(), Some(talk.now + TimeDelta::seconds(30)), "it has its time although it is late");
    assert_eq!(extended(&mut talk, 900), "extend hold done; send confirm 1.1");
}

#[test]
fn an_extension_that_gains_nothing_is_not_repeated_for_ever() {
    let mut talk = begin(holding(), 900);
    later(&mut talk, 860);
    // It is held as long as before: 40 s from now.
    assert_eq!(extended(&mut talk, 40), "extend hold done");
    assert_eq!(talk.wait(), "turn around (hold/hold_expired); send undo hold 1.1; => compensating");
}

#[test]
fn a_late_reply_to_an_earlier_extension_changes_nothing() {
    let mut talk = begin(holding(), 900);
    later(&mut talk, 860);
    let (first, attempt) = talk.command_id("hold", Op::Extension);
    extended(&mut talk, 900);
    talk.wait();
    let outcome = Outcome::done(json!({"said": "held"}).into());
    let said = talk.hear(&Input::Replied { command_id: first, attempt, outcome });
    assert!(said.starts_with("ignored"), "{said}");
    assert!(talk.state.steps[&name("hold")].extension.is_open());
}

#[test]
fn a_reply_without_a_time_holds_for_ever() {
    let mut talk = Talk::begin(holding(), 0);
    talk.done("hold");
    assert_eq!(machine::holds_until(&talk.definition, &talk.state), None);
    assert_eq!(talk.next_wake(), Some(talk.now + TimeDelta::hours(24)), "the end of the wait");
}

#[test]
fn a_child_is_not_started_as_the_pivot_when_what_is_held_for_it_lapses_within_its_margin() {
    let paid = || {
        let mut saga = Builder::<Trip, Learned>::new("paid", 1);
        let hold = saga.step("hold").command(probe).compensate(unprobe).retry(FEW).compensation_retry(AGAIN);
        let hold = hold.valid_until(|echo| echo.until).add();
        let approval = saga.step("approval").after([hold]).signal::<Approval>("approval").add();
        let reread = saga.step("reread").after([approval]).command(probe).compensate(unprobe).retry(FEW);
        let reread = reread.compensation_retry(AGAIN).valid_until(|echo| echo.until).renews([hold]).add();
        let visa = saga.step("visa").after([reread]).signal::<Approval>("visa").add();
        let margin = Duration::from_secs(300);
        saga.step("pay").pivot().after([visa]).child("payment", 1, probe).margin(margin).add();
        saga.build().expect("the definition has no mistake")
    };
    // The hold that is renewed need not last for the payment too.
    let mut talk = begin(paid(), 600);
    assert_eq!(later(&mut talk, 599), "ignored: nothing is due");
    assert_eq!(talk.signal("approval", "one"), "approval received (one); approval takes one; send reread 1.1");
    let held = held_for(&talk, 900);
    let input = talk.reply("reread", Op::Action, Outcome::done(held));
    talk.hear(&input);
    assert_eq!(later(&mut talk, 599), "ignored: nothing is due");
    let mut late = Talk { now: talk.now, ..begin(paid(), 600) };
    late.state = talk.state.clone();
    talk.signal("visa", "two");
    assert_eq!(talk.called.len(), 1, "the child is started");
    late.now += TimeDelta::seconds(1);
    late.signal("visa", "two");
    assert_eq!((late.called.len(), late.state.status), (0, SagaStatus::Compensating));
}
