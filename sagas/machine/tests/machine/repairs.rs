//! Edits of commands, and compensations that were done by hand.

use contract::{
    Evidence, StepName,
    command::Outcome,
    saga::{Action, FieldChange, SagaStatus, StepStatus},
    step::Op,
};
use machine::{Input, decide, describe, plan, resume};
use serde_json::{Value, json};

use crate::common::{Talk, act, at_pivot, begin, name, pause};

pub(crate) fn evidence() -> Evidence {
    Evidence::parse("undone by hand, ticket 4711").expect("evidence of 28 bytes")
}

fn edit(step: &str, patch: Value) -> Action {
    Action::Edit { step: name(step), patch }
}

fn resolve(step: &str) -> Action {
    Action::Resolve { step: name(step), evidence: evidence() }
}

fn failed() -> Talk {
    let mut talk = begin();
    talk.faulted("create", Op::Action);
    talk
}

fn view(talk: &Talk, step: &StepName) -> contract::orchestrator_api::StepView {
    describe(&talk.definition, &talk.state)
        .into_iter()
        .find(|view| view.name == *step)
        .expect("a step of the definition")
}

#[test]
fn an_edited_command_is_sent_at_once_and_ever_after_and_its_difference_shows() {
    let mut talk = failed();
    let action = edit("create", json!({"note": "by the sea"}));
    let changes =
        vec![FieldChange { pointer: "/note".into(), before: Some(json!("a trip")), after: Some(json!("by the sea")) }];
    assert_eq!(plan(&talk.definition, talk.state.clone(), &action, talk.now).changes, changes);
    assert_eq!(talk.act(action), "ann acts: edit; create edited /note; send create 1.2");
    assert_eq!(talk.sent[0].payload.get(), r#"{"note":"by the sea","said":[]}"#);
    assert_eq!(view(&talk, &name("create")).edited, changes);
    assert_eq!(resume(&talk.definition, &talk.state)[0].payload.get(), talk.sent[0].payload.get());
    talk.faulted("create", Op::Action);
    talk.wait();
    assert_eq!(talk.sent[0].payload.get(), r#"{"note":"by the sea","said":[]}"#, "the next attempt too");
    assert!(talk.done("create").starts_with("create done; send flights 1.1"));
    assert_eq!(talk.sent[0].payload.get(), r#"{"note":"a trip","said":["create"]}"#, "no other command is changed");
}

#[test]
fn a_compensation_that_was_refused_is_edited_and_sent_as_a_new_one() {
    let mut talk = at_pivot();
    talk.refused("confirm", Op::Action);
    talk.refused("flights", Op::Compensation);
    let edited = "ann acts: edit; undo flights edited /note; send undo flights 2.1; => compensating";
    assert_eq!(talk.act(edit("flights", json!({"note": "the other desk"}))), edited);
}

#[test]
fn an_edit_must_make_another_command_of_the_same_type() {
    let mut talk = failed();
    for (patch, why) in [
        (json!({"note": 7}), "invalid type: integer `7`, expected a string at /note"),
        (json!({"note": null}), "missing field `note`"),
        (json!({"tone": "high"}), "it has no field /tone"),
        (json!({"note": "a trip"}), "it is the same as before"),
        (json!({}), "it is the same as before"),
        (json!(7), "invalid type: integer `7`, expected struct Probe"),
    ] {
        let said = talk.act(edit("create", patch));
        assert!(said.starts_with("refused: command_mismatch") && said.ends_with(why), "{said}");
    }
    talk.wait();
    assert!(
        talk.act(edit("create", json!({"note": "late"}))).starts_with("refused: edit_impossible: step `create` is")
    );
    assert!(talk.act(edit("flights", json!({"note": "early"}))).starts_with("refused: edit_impossible"));
    assert!(talk.act(edit("fly", json!({}))).starts_with("refused: step_unknown"));
}

#[test]
fn a_paused_saga_takes_an_edit_and_sends_it_when_it_is_resumed() {
    let mut talk = failed();
    talk.act(pause());
    let edited = talk.act(edit("create", json!({"note": "by the sea"})));
    assert_eq!(edited, "ann acts: edit; create edited /note");
    talk.act(Action::Resume {});
    assert_eq!(talk.wait(), "send create 1.2");
    assert_eq!(talk.sent[0].payload.get(), r#"{"note":"by the sea","said":[]}"#);
}

#[test]
fn an_earlier_sending_that_took_effect_after_all_still_counts() {
    let mut talk = begin();
    talk.missing("create", Op::Action);
    assert_eq!(
        talk.act(edit("create", json!({"note": "by the sea"}))),
        "ann acts: edit; create edited /note; send create 1.2"
    );
    let (command_id, _) = talk.command_id("create", Op::Action);
    let late = Input::Replied { command_id, attempt: 1, outcome: Outcome::done(json!({"said": "late"}).into()) };
    assert!(talk.hear(&late).starts_with("create done"), "it is one command, whichever sending is carried out");
}

#[test]
fn a_compensation_done_by_hand_lets_the_saga_go_on_undoing() {
    let mut talk = at_pivot();
    talk.refused("confirm", Op::Action);
    talk.refused("flights", Op::Compensation);
    talk.undone("rooms");
    assert_eq!(
        talk.act(resolve("flights")),
        "ann acts: resolve; undo flights resolved by hand; send undo create 1.1; => compensating"
    );
    let shown = view(&talk, &name("flights"));
    assert_eq!((shown.status, shown.resolved), (StepStatus::Compensated, Some(evidence())));
    assert!(!shown.skipped, "nobody said what a participant answered");
    talk.undone("create");
    assert_eq!(talk.state.status, SagaStatus::Compensated);
}

#[test]
fn only_a_compensation_that_does_not_get_on_is_resolved() {
    let mut talk = failed();
    assert!(talk.act(resolve("create")).starts_with("refused: resolve_impossible"), "an action is skipped instead");
    talk.act(Action::Cancel {});
    assert!(talk.act(resolve("create")).starts_with("refused: resolve_impossible"), "it is under way");
    let mut finished = failed();
    finished.act(Action::Abandon {});
    let decision = decide(&finished.definition, finished.state, &act(resolve("create")), finished.now);
    assert!(decision.entries.is_empty());
}
