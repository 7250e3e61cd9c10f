//! Child sagas, from both sides: the decision on a child's end, on a parent that wants its child undone, and what a saga
//! has to say to its children after a takeover.
//!
//! A child begins in the same append as the entry that says that its step waits for it, so neither is ever without the
//! other. Its end is told by the lane, and asked for again whenever the parent is loaded: nothing hangs on a message.

use chrono::{DateTime, Utc};
use contract::{
    Document, SagaId,
    saga::{Cause, SagaStatus},
    step::Op,
};

use crate::{
    codes::{CAUSE_CHILD_COMPENSATED, FAILURE_CHILD_ABANDONED, FAILURE_REPLY_UNREADABLE},
    decision::{ChildCall, Decision, Verdict},
    definition::Definition,
    draft::{Draft, undo_call},
    entry::Entry,
    input::ChildEnd,
    mapping::MappingError,
    payload::build_result,
    queries::pivot_issued,
    state::State,
    step::{Step, Work},
};

/// Decides the end of a child.
pub(crate) fn child_ended(
    definition: &Definition,
    state: State,
    child: SagaId,
    end: &ChildEnd,
    now: DateTime<Utc>,
) -> Decision {
    if state.status.is_final() || !definition.fits(&state) {
        return Decision::unchanged(state, Verdict::Ignored("the saga waits for no child"));
    }
    let op = state.direction();
    let waits =
        |step: &&Step| state.progress(&step.name, op).is_some_and(|progress| progress.awaited_child() == Some(child));
    let Some(step) = definition.steps.iter().find(waits) else {
        return Decision::unchanged(state, Verdict::Ignored("no step waits for that child"));
    };
    let mut draft = Draft::new(definition, state, now);
    match (op, end) {
        (Op::Action, ChildEnd::Completed { result }) => completed(&mut draft, step, result),
        (Op::Action, ChildEnd::Compensated { cause }) => {
            let (code, message, refused) = match cause {
                Some(cause) => (cause.code.clone(), cause.message.clone(), cause.refused),
                None => (CAUSE_CHILD_COMPENSATED.to_owned(), format!("the child {child} was compensated"), false),
            };
            draft.refuse(step, op, code, message, refused);
        }
        (Op::Compensation, ChildEnd::Compensated { .. }) => {
            draft.record(Entry::CommandDone { step: step.name.clone(), op, reply: Document::default() });
            draft.advance();
        }
        // It hears that it is to be undone.
        (Op::Compensation, ChildEnd::Completed { .. }) | (Op::Extension, _) => {}
        (Op::Action | Op::Compensation, ChildEnd::Abandoned) => {
            let message = format!("the child {child} was given up by hand, and stands as it stood");
            draft.ask_a_person(step, op, FAILURE_CHILD_ABANDONED.to_owned(), message);
        }
    }
    draft.finish_or(Verdict::Ignored("the child is to be undone first"))
}

fn completed(draft: &mut Draft<'_>, step: &Step, result: &Document) {
    let Work::Child(spec) = step.work() else { return };
    match spec.result.check(result) {
        Ok(()) => {
            draft.record(Entry::CommandDone { step: step.name.clone(), op: Op::Action, reply: result.clone() });
            draft.advance();
        }
        Err(mismatch) => {
            let message = format!("the result is not what `{}` is expected to give: {mismatch}", spec.name);
            draft.ask_a_person(step, Op::Action, FAILURE_REPLY_UNREADABLE.to_owned(), message);
        }
    }
}

/// Decides what comes of a parent that wants this child undone. Of all sagas that are completed, only a child can be
/// turned around again, and only before its point of no return.
pub(crate) fn undone_by_parent(definition: &Definition, state: State, cause: &Cause, now: DateTime<Utc>) -> Decision {
    let given_up = state.given_up.is_some() || state.status == SagaStatus::Abandoned;
    let ignored = given_up
        .then_some("the saga was given up")
        .or((state.parent.is_none() || !definition.fits(&state))
            .then_some("the saga is no child, or not of this definition"))
        .or(state.cause.is_some().then_some("the saga is being undone already, or was"))
        .or(pivot_issued(definition, &state).then_some("the saga is past its point of no return"));
    if let Some(why) = ignored {
        return Decision::unchanged(state, Verdict::Ignored(why));
    }
    let mut draft = Draft::new(definition, state, now);
    draft.turn_around(cause.clone());
    draft.finish()
}

/// The words that a saga owes its children after a takeover: each child that it waits for is asked how it stands, or told
/// again that it is to be undone.
#[must_use]
pub fn owed_to_children(state: &State) -> Vec<ChildCall> {
    if state.status.is_final() {
        return Vec::new();
    }
    let op = state.direction();
    let awaited = state.steps.values().filter_map(|step| step.progress(op).awaited_child());
    awaited.map(|child| undo_call(state, child).unwrap_or(ChildCall::Ask { child })).collect()
}

/// The end of a saga, as its parent hears it; none while it goes on.
///
/// # Errors
/// When the definition's result cannot be made.
pub fn end(definition: &Definition, state: &State) -> Result<Option<ChildEnd>, MappingError> {
    Ok(match state.status {
        SagaStatus::Completed => Some(ChildEnd::Completed { result: build_result(definition, state)? }),
        SagaStatus::Compensated => Some(ChildEnd::Compensated { cause: state.cause.clone() }),
        SagaStatus::Abandoned => Some(ChildEnd::Abandoned),
        SagaStatus::Running | SagaStatus::Compensating | SagaStatus::NeedsAttention => None,
    })
}
