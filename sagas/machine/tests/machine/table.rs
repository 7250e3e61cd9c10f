//! The table of state x input, as a snapshot: what a reviewer reads. It is the machine's behavior on the example
//! saga, `create -> (flights, rooms) -> confirm (pivot) -> (tell, bill)`, four attempts each
//! before the pivot.

use chrono::TimeDelta;
use contract::{
    command::{FAULT_COMMAND_EXPIRED, Outcome},
    saga::{Action, PauseClock, PausedHolds},
    step::Op,
};
use machine::{ChildEnd, Definition, Input};
use serde_json::{Value, json};

use crate::{
    children::{child_compensated, child_completed, expedition},
    closing::closable,
    common::{Talk, act, approval, journey, name, pause, payment, signal},
    holds::{held_for, holding},
    repairs::evidence,
};

/// A state, how to reach it, and the step and direction that the inputs are about.
pub(crate) type Row = (&'static str, fn(&mut Talk), &'static str, Op);

pub(crate) const ROWS: &[Row] = &[
    ("create is outstanding", |_| (), "create", Op::Action),
    ("create waits to be sent again", |talk| _ = talk.faulted("create", Op::Action), "create", Op::Action),
    ("rooms is in its last attempt, flights is done", last_rooms, "rooms", Op::Action),
    ("rooms is refused, the saga turned around", rooms_refused, "rooms", Op::Action),
    ("an operator cancelled the saga", cancelled, "flights", Op::Compensation),
    ("flights is being undone", rooms_refused, "flights", Op::Compensation),
    ("undoing flights waits to be sent again", undo_waits, "flights", Op::Compensation),
    ("undoing flights was refused", undo_refused, "flights", Op::Compensation),
    ("undoing flights was answered, but not readably", undo_stuck, "flights", Op::Compensation),
    ("confirm, the pivot, is outstanding", at_pivot, "confirm", Op::Action),
    ("confirm, the pivot, waits to be sent again", pivot_waits, "confirm", Op::Action),
    ("confirm, the pivot, was answered, but not readably", pivot_stuck, "confirm", Op::Action),
    ("tell is outstanding after the pivot", past_pivot, "tell", Op::Action),
    ("tell waits to be sent again", tell_waits, "tell", Op::Action),
    ("tell is done, bill is outstanding", tell_done, "tell", Op::Action),
    ("tell was refused", tell_refused, "tell", Op::Action),
    ("tell was answered, but not readably", tell_stuck, "tell", Op::Action),
    ("completed", completed, "bill", Op::Action),
    ("compensated", compensated, "create", Op::Compensation),
    ("paused, create is outstanding", |talk| _ = talk.act(pause()), "create", Op::Action),
    ("paused, create waits to be sent again", paused_before_retry, "create", Op::Action),
    ("paused with a running clock, nothing is under way", paused_and_quiescent, "flights", Op::Action),
    ("paused, rooms was refused, flights is to be undone", paused_before_undo, "flights", Op::Compensation),
    ("abandoned", |talk| _ = talk.act(Action::Abandon {}), "create", Op::Action),
];

/// The same of the saga with waits, `create -> approval (signal) -> cool-down (timer) -> confirm (pivot) -> receipt (signal)`.
const WAITS: &[Row] = &[
    ("approval, a signal, is not reached", |_| (), "approval", Op::Action),
    ("approval is not reached, and its signal is kept", approved_early, "approval", Op::Action),
    ("approval is awaited", |talk| _ = talk.done("create"), "approval", Op::Action),
    ("approval was missed", approval_missed, "approval", Op::Action),
    ("approval came, cool-down, a timer, waits", approved, "cool-down", Op::Action),
    ("paused, approval is awaited", paused_in_wait, "approval", Op::Action),
    ("paused with a running clock, approval is awaited", paused_in_running_wait, "approval", Op::Action),
    ("receipt, a signal after the pivot, was missed", receipt_missed, "receipt", Op::Action),
];

/// The same of the saga with a condition on what was learned, `authorize -> action (signal, if it is needed) -> complete
/// (if it is needed) -> capture (pivot)`.
const PERHAPS: &[Row] = &[
    ("authorize is outstanding, action is not known to be needed", |_| (), "authorize", Op::Action),
    ("action is needed, and waits for its signal", action_needed, "action", Op::Action),
    ("action was found not needed", action_not_needed, "action", Op::Action),
];

/// The same of sagas that hold something, `hold (until a time) -> approval (signal) -> confirm (pivot) -> tell`.
const HOLDS: &[Row] = &[
    ("hold is held, approval is awaited", held, "hold", Op::Action),
    ("hold is being extended", extending, "hold", Op::Extension),
    ("extending hold waits to be sent again", extension_waits, "hold", Op::Extension),
    ("paused, hold is held", paused_with_hold, "hold", Op::Extension),
    ("paused, hold is held and may lapse", paused_with_lapsing_hold, "hold", Op::Extension),
    ("hold is being extended, the pivot waits for it", extending_before_pivot, "hold", Op::Extension),
    ("hold was extended, the pivot is outstanding", extended_and_at_pivot, "hold", Op::Extension),
    ("extending hold was refused, the saga turned around", extension_refused, "hold", Op::Extension),
];

/// The same of the saga with something to close, `create -> confirm (pivot) -> tell`.
const CLOSING: &[Row] = &[
    ("create is outstanding, of a saga with something to close", |_| (), "create", Op::Action),
    ("abandoned, its business object is being closed", |talk| _ = talk.act(Action::Abandon {}), "close", Op::Action),
    ("abandoned, closing waits to be sent again", closing_waits, "close", Op::Action),
    ("abandoned, closing was refused", closing_refused, "close", Op::Action),
];

/// The same of the saga with children, `prepare (child) -> pack -> settle (child, pivot) -> review (child, retriable)`.
const CHILDREN: &[Row] = &[
    ("prepare waits for its child", |_| (), "prepare", Op::Action),
    ("prepare's child is completed, pack is outstanding", prepared, "prepare", Op::Action),
    ("prepare's child is being undone", pack_refused, "prepare", Op::Compensation),
    ("settle, the pivot, waits for its child", packed, "settle", Op::Action),
    ("review's child was compensated", review_refused, "review", Op::Action),
];

#[test]
fn the_table_of_state_and_input() {
    let mut table = String::new();
    let rows = ROWS.iter().map(|row| (row, journey as fn() -> Definition));
    let waits = WAITS.iter().map(|row| (row, approval as fn() -> Definition));
    let closing = CLOSING.iter().map(|row| (row, closable as fn() -> Definition));
    let perhaps = PERHAPS.iter().map(|row| (row, payment as fn() -> Definition));
    let holds = HOLDS.iter().map(|row| (row, holding as fn() -> Definition));
    let children = CHILDREN.iter().map(|row| (row, expedition as fn() -> Definition));
    let all = rows.chain(waits).chain(perhaps).chain(holds).chain(closing).chain(children);
    for ((state, reach, step, op), definition) in all {
        table += &format!("## {state}\n");
        for (input, made) in inputs(step, *op) {
            let mut talk = Talk::begin(definition(), 0);
            reach(&mut talk);
            let made = made(&mut talk);
            table += &format!("{input:<28} {}\n", talk.hear(&made));
        }
        table += "\n";
    }
    insta::assert_snapshot!("state_by_input", table);
}

type Make = Box<dyn Fn(&mut Talk) -> Input>;

fn inputs(step: &'static str, op: Op) -> Vec<(&'static str, Make)> {
    let answer =
        move |outcome: fn(Op) -> Outcome<Value>| -> Make { Box::new(move |talk| talk.reply(step, op, outcome(op))) };
    let operator = |action: Action| -> Make { Box::new(move |_| act(action.clone())) };
    vec![
        ("done", answer(|op| Outcome::done(good(op)))),
        ("done, unreadable", answer(|_| Outcome::done(json!(7)))),
        ("refused", answer(|_| Outcome::refused("no", "no"))),
        ("faulted", answer(|_| Outcome::faulted("broken", "it broke"))),
        (
            "dead-lettered",
            Box::new(move |talk| {
                let (command_id, attempt) = talk.command_id(step, op);
                Input::DeadLettered { command_id, attempt, reason: "delivery limit".into() }
            }),
        ),
        (
            "faulted, another attempt",
            Box::new(move |talk| {
                let (command_id, attempt) = talk.command_id(step, op);
                Input::Replied { command_id, attempt: attempt + 1, outcome: Outcome::faulted("broken", "it broke") }
            }),
        ),
        (
            "done, generation not issued",
            Box::new(move |talk| {
                let (mut command_id, attempt) = talk.command_id(step, op);
                command_id.generation += 1;
                Input::Replied { command_id, attempt, outcome: Outcome::done(good(op).into()) }
            }),
        ),
        ("faulted, expired", answer(|_| Outcome::faulted(FAULT_COMMAND_EXPIRED, "too late"))),
        ("reply missing", reply_missing(step, op, TimeDelta::seconds(10))),
        ("reply missing, after an hour", reply_missing(step, op, TimeDelta::hours(1))),
        (
            "done, after an hour",
            Box::new(move |talk| {
                talk.now += TimeDelta::hours(1);
                talk.reply(step, op, Outcome::done(good(op)))
            }),
        ),
        ("time passes, a moment", Box::new(|_| Input::TimePassed)),
        (
            "time passes, to the next due",
            Box::new(|talk| {
                talk.now = talk.next_wake().unwrap_or(talk.now);
                Input::TimePassed
            }),
        ),
        (
            "time passes, an hour",
            Box::new(|talk| {
                talk.now += TimeDelta::hours(1);
                Input::TimePassed
            }),
        ),
        ("operator: retry all", operator(Action::Retry { step: None })),
        ("operator: retry it", operator(Action::Retry { step: Some(name(step)) })),
        ("operator: skip it", operator(Action::Skip { step: name(step), reply: good(op), force: false })),
        ("operator: skip by force", operator(Action::Skip { step: name(step), reply: good(op), force: true })),
        ("operator: skip, wrong reply", operator(Action::Skip { step: name(step), reply: json!(7), force: true })),
        ("operator: edit it", operator(Action::Edit { step: name(step), patch: json!({"note": "by hand"}) })),
        ("operator: edit, wrong", operator(Action::Edit { step: name(step), patch: json!({"note": 7}) })),
        ("operator: resolve it", operator(Action::Resolve { step: name(step), evidence: evidence() })),
        ("operator: cancel", operator(Action::Cancel {})),
        ("operator: fire its timer", operator(Action::FireTimer { step: name(step) })),
        ("operator: reschedule it", reschedule(step)),
        ("operator: migrate to an unknown version", operator(Action::Migrate { version: 9 })),
        ("operator: abandon", operator(Action::Abandon {})),
        ("operator: pause", operator(pause())),
        ("operator: resume", operator(Action::Resume {})),
        (
            "operator: resume in an hour",
            Box::new(|talk| {
                talk.now += TimeDelta::hours(1);
                act(Action::Resume {})
            }),
        ),
        ("signal of its name", signaled(step, json!({"approved_by": "bob"}))),
        ("signal, unreadable", signaled(step, json!(7))),
        ("its child is completed", child_ends(step, child_completed())),
        ("its child is compensated", child_ends(step, child_compensated())),
        ("its child is abandoned", child_ends(step, ChildEnd::Abandoned)),
        ("its parent undoes it", Box::new(|_| undo())),
    ]
}

fn reschedule(step: &'static str) -> Make {
    Box::new(move |talk| act(Action::RescheduleTimer { step: name(step), at: talk.now + TimeDelta::minutes(1) }))
}

fn child_ends(step: &'static str, end: ChildEnd) -> Make {
    Box::new(move |talk| Input::ChildEnded { child: talk.child(step), end: end.clone() })
}

fn undo() -> Input {
    let (code, message) = ("saga_cancelled".to_owned(), "the parent goes back".to_owned());
    Input::Undo { cause: machine::Cause { step: None, code, message, refused: false } }
}

fn prepared(talk: &mut Talk) {
    talk.child_ends("prepare", child_completed());
}

fn pack_refused(talk: &mut Talk) {
    prepared(talk);
    talk.refused("pack", Op::Action);
}

fn packed(talk: &mut Talk) {
    prepared(talk);
    talk.done("pack");
}

fn review_refused(talk: &mut Talk) {
    packed(talk);
    talk.child_ends("settle", child_completed());
    talk.child_ends("review", child_compensated());
}

fn signaled(name: &'static str, payload: Value) -> Make {
    Box::new(move |_| signal(name, "new", payload.clone()))
}

fn reply_missing(step: &'static str, op: Op, wait: TimeDelta) -> Make {
    Box::new(move |talk| {
        talk.now += wait;
        let (command_id, attempt) = talk.command_id(step, op);
        Input::ReplyMissing { command_id, attempt }
    })
}

pub(crate) fn good(op: Op) -> Value {
    match op {
        Op::Action | Op::Extension => json!({"said": "by hand"}),
        Op::Compensation => json!({}),
    }
}

fn held(talk: &mut Talk) {
    let reply = talk.reply("hold", Op::Action, Outcome::done(held_for(talk, 900)));
    talk.hear(&reply);
}

fn extending(talk: &mut Talk) {
    held(talk);
    talk.wait();
}

fn extension_waits(talk: &mut Talk) {
    extending(talk);
    talk.faulted("hold", Op::Extension);
}

fn extending_before_pivot(talk: &mut Talk) {
    extending(talk);
    talk.signal("approval", "one");
}

fn extended_and_at_pivot(talk: &mut Talk) {
    extending_before_pivot(talk);
    let reply = talk.reply("hold", Op::Extension, Outcome::done(held_for(talk, 900)));
    talk.hear(&reply);
}

fn extension_refused(talk: &mut Talk) {
    extending(talk);
    talk.refused("hold", Op::Extension);
}

fn paused_before_retry(talk: &mut Talk) {
    talk.faulted("create", Op::Action);
    talk.act(pause());
}

fn paused_and_quiescent(talk: &mut Talk) {
    talk.act(Action::Pause { clock: PauseClock::Run, holds: PausedHolds::Keep });
    talk.done("create");
}

fn paused_before_undo(talk: &mut Talk) {
    talk.done("create");
    talk.done("flights");
    talk.act(pause());
    talk.refused("rooms", Op::Action);
}

fn paused_in_wait(talk: &mut Talk) {
    talk.done("create");
    talk.act(pause());
}

fn paused_in_running_wait(talk: &mut Talk) {
    talk.done("create");
    talk.act(Action::Pause { clock: PauseClock::Run, holds: PausedHolds::Keep });
}

fn paused_with_hold(talk: &mut Talk) {
    held(talk);
    talk.act(pause());
}

fn paused_with_lapsing_hold(talk: &mut Talk) {
    held(talk);
    talk.act(Action::Pause { clock: PauseClock::Freeze, holds: PausedHolds::Lapse });
}

fn closing_waits(talk: &mut Talk) {
    talk.act(Action::Abandon {});
    talk.faulted("close", Op::Action);
}

fn closing_refused(talk: &mut Talk) {
    talk.act(Action::Abandon {});
    talk.refused("close", Op::Action);
}

fn last_rooms(talk: &mut Talk) {
    talk.done("create");
    talk.done("flights");
    for _ in 0..3 {
        talk.faulted("rooms", Op::Action);
        talk.wait();
    }
}

fn rooms_refused(talk: &mut Talk) {
    talk.done("create");
    talk.done("flights");
    talk.refused("rooms", Op::Action);
}

fn cancelled(talk: &mut Talk) {
    talk.done("create");
    talk.done("flights");
    talk.act(Action::Cancel {});
}

fn undo_waits(talk: &mut Talk) {
    rooms_refused(talk);
    talk.faulted("flights", Op::Compensation);
}

fn undo_refused(talk: &mut Talk) {
    rooms_refused(talk);
    talk.refused("flights", Op::Compensation);
}

fn undo_stuck(talk: &mut Talk) {
    rooms_refused(talk);
    talk.garbled("flights", Op::Compensation);
}

fn at_pivot(talk: &mut Talk) {
    talk.done("create");
    talk.done("flights");
    talk.done("rooms");
}

fn pivot_waits(talk: &mut Talk) {
    at_pivot(talk);
    talk.faulted("confirm", Op::Action);
}

fn pivot_stuck(talk: &mut Talk) {
    at_pivot(talk);
    talk.garbled("confirm", Op::Action);
}

fn past_pivot(talk: &mut Talk) {
    at_pivot(talk);
    talk.done("confirm");
}

fn tell_waits(talk: &mut Talk) {
    past_pivot(talk);
    talk.faulted("tell", Op::Action);
}

fn tell_done(talk: &mut Talk) {
    past_pivot(talk);
    talk.done("tell");
}

fn tell_refused(talk: &mut Talk) {
    past_pivot(talk);
    talk.refused("tell", Op::Action);
}

fn tell_stuck(talk: &mut Talk) {
    past_pivot(talk);
    talk.garbled("tell", Op::Action);
}

fn completed(talk: &mut Talk) {
    past_pivot(talk);
    talk.done("tell");
    talk.done("bill");
}

fn approved_early(talk: &mut Talk) {
    talk.signal("approval", "early");
}

fn approved(talk: &mut Talk) {
    talk.done("create");
    talk.signal("approval", "in-time");
}

fn approval_missed(talk: &mut Talk) {
    talk.done("create");
    talk.wait();
}

fn receipt_missed(talk: &mut Talk) {
    approved(talk);
    talk.wait();
    talk.done("confirm");
    talk.wait();
}

fn action_needed(talk: &mut Talk) {
    talk.says("authorize", "act");
}

fn action_not_needed(talk: &mut Talk) {
    talk.says("authorize", "fine");
}

fn compensated(talk: &mut Talk) {
    rooms_refused(talk);
    talk.undone("flights");
    talk.undone("create");
}
