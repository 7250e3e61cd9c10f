//! The acts that a saga would take now. The machine is asked by deciding each of them, and the decisions are thrown away:
//! there is no second rule to keep true.

use std::sync::Arc;

use contract::{
    Evidence,
    orchestrator_api::PossibleAct,
    saga::{Action, PauseClock, PausedHolds},
    step::StepName,
};
use machine::{
    Definition, Input, Operator, Terms, Verdict,
    codes::{REFUSED_COMMAND_MISMATCH, REFUSED_REPLY_MISMATCH},
};
use serde_json::Value;

use super::Facts;

/// The acts that are possible on a saga that can be read.
pub(super) fn acts(facts: &Facts<'_>) -> Vec<PossibleAct> {
    if facts.quarantined.is_some() {
        // All others are turned away until it is released.
        return vec![PossibleAct::Release {}, PossibleAct::Abandon {}];
    }
    let names = || facts.definition.at_work(facts.state).iter().map(|step| step.name().clone());
    let retry = |step: &StepName| takes(facts, Action::Retry { step: Some(step.clone()) });
    let steps: Vec<_> = names().filter(retry).collect();
    let mut acts = Vec::new();
    if !steps.is_empty() {
        acts.push(PossibleAct::Retry { steps });
    }
    acts.extend(names().filter_map(|step| {
        let skip = |force| Action::Skip { step: step.clone(), reply: Value::Null, force };
        let force = [false, true].into_iter().find(|force| takes(facts, skip(*force)))?;
        Some(PossibleAct::Skip { step, force })
    }));
    let edit = |step: &StepName| takes(facts, Action::Edit { step: step.clone(), patch: Value::Null });
    let steps: Vec<_> = names().filter(edit).collect();
    acts.extend((!steps.is_empty()).then_some(PossibleAct::Edit { steps }));
    let resolve = |step: &StepName| {
        let evidence = Evidence::parse("looked up by nobody yet").ok();
        evidence.is_some_and(|evidence| takes(facts, Action::Resolve { step: step.clone(), evidence }))
    };
    let steps: Vec<_> = names().filter(resolve).collect();
    acts.extend((!steps.is_empty()).then_some(PossibleAct::Resolve { steps }));
    let timer = |step: &StepName| takes(facts, Action::FireTimer { step: step.clone() });
    let steps: Vec<_> = names().filter(timer).collect();
    acts.extend((!steps.is_empty()).then_some(PossibleAct::Timer { steps }));
    let versions = versions(facts);
    acts.extend((!versions.is_empty()).then_some(PossibleAct::Migrate { versions }));
    acts.extend(takes(facts, Action::Cancel {}).then_some(PossibleAct::Cancel {}));
    acts.extend(takes(facts, Action::Abandon {}).then_some(PossibleAct::Abandon {}));
    let pause = Action::Pause { clock: PauseClock::default(), holds: PausedHolds::default() };
    acts.extend(takes(facts, pause).then_some(PossibleAct::Pause {}));
    acts.extend(takes(facts, Action::Resume {}).then_some(PossibleAct::Resume {}));
    acts
}

/// The versions of its definition that could take the saga over.
fn versions(facts: &Facts<'_>) -> Vec<u32> {
    let could = |to: &&Arc<Definition>| {
        let found = || machine::obstacles(facts.definition, to, facts.state);
        to.name() == facts.definition.name() && machine::catch_panic(found).is_ok_and(|found| found.is_empty())
    };
    facts.catalog.iter().filter(could).map(|to| to.version()).collect()
}

/// The acts that are possible on a saga that cannot be read here.
pub(super) fn acts_on_unreadable(quarantined: bool) -> Vec<PossibleAct> {
    let release = quarantined.then_some(PossibleAct::Release {});
    release.into_iter().chain([PossibleAct::Abandon {}]).collect()
}

/// Whether the machine takes an action now. A reply or a command is written by the person who acts: one that does not fit
/// is no reason against it.
fn takes(facts: &Facts<'_>, action: Action) -> bool {
    let operator = Operator::default();
    let input = Input::Operator { operator, action, terms: Terms::default() };
    let decide = || machine::decide(facts.definition, facts.state.clone(), &input, facts.now).verdict;
    match machine::catch_panic(decide) {
        Ok(Verdict::Accepted) => true,
        Ok(Verdict::Refused { code, .. }) => [REFUSED_REPLY_MISMATCH, REFUSED_COMMAND_MISMATCH].contains(&code),
        Ok(Verdict::Ignored(_) | Verdict::Unknown(_)) | Err(_) => false,
    }
}
