//! The acts of operators on one saga: those that it would take now, and why it would not take the others.

use contract::{
    orchestrator_api::{Explanation, PossibleAct, StandstillReason},
    saga::SagaStatus,
};

/// Buttons beside the head of a saga; the others stand in the menu.
const PRIMARY_MAX: usize = 3;

/// One act in the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Act {
    /// The word in addresses.
    pub(crate) name: &'static str,
    pub(crate) words: &'static str,
    /// The reason why the saga would not take it now.
    pub(crate) why_not: Option<&'static str>,
}

/// The acts in the order of their use: word, words, the reason where the saga would not take it.
const ALL: [(&str, &str, &str); 13] = [
    ("release", "Release from quarantine", "The saga is not in quarantine."),
    ("resume", "Resume", "The saga is not paused."),
    ("retry", "Retry now", "No step is stuck or waits for its next attempt."),
    ("edit", "Edit and retry", "No step is stuck or waits for its next attempt."),
    ("resolve", "Resolve by hand", "No compensation is stuck or waits for its next attempt."),
    ("skip", "Skip a step", "No step is stuck or waits for its next attempt."),
    ("cancel", "Cancel", "The saga is past its point of no return, or being undone already."),
    ("fire_timer", "Let a time come now", "No step waits for a time."),
    ("reschedule_timer", "Set a time anew", "No step waits for a time."),
    ("pause", "Pause", "The saga is paused already, or cannot be."),
    ("migrate", "Migrate", "No other version of its definition could take the saga over."),
    ("signal", "Send a signal", "No step of the saga waits for a signal."),
    ("abandon", "Abandon", "The saga is given up already."),
];

/// The word of an act in addresses.
const fn word(act: &PossibleAct) -> &'static str {
    match act {
        PossibleAct::Retry { .. } => "retry",
        PossibleAct::Skip { .. } => "skip",
        PossibleAct::Edit { .. } => "edit",
        PossibleAct::Resolve { .. } => "resolve",
        PossibleAct::Timer { .. } => "fire_timer",
        PossibleAct::Migrate { .. } => "migrate",
        PossibleAct::Cancel {} => "cancel",
        PossibleAct::Release {} => "release",
        PossibleAct::Abandon {} => "abandon",
        PossibleAct::Pause {} => "pause",
        PossibleAct::Resume {} => "resume",
    }
}

/// The words of an act.
pub(crate) fn words(name: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _, _)| *known == name).map(|(_, words, _)| *words)
}

/// All acts: the few that this state calls for, and the rest. A viewer has none.
pub(crate) fn acts(why: &Explanation, may_act: bool) -> (Vec<Act>, Vec<Act>) {
    let ended = why.status.is_some_and(SagaStatus::is_final);
    let possible = |name: &str| match name {
        "signal" => why.reasons.iter().any(|reason| matches!(reason, StandstillReason::SignalAwaited { .. })),
        "reschedule_timer" => !steps_of(why, name).is_empty(),
        name => why.possible.iter().any(|act| word(act) == name),
    };
    let act = |(name, words, why_not): (&'static str, &'static str, &'static str)| {
        if !may_act {
            return Act { name, words, why_not: Some("Viewers look; operators act.") };
        }
        let why_not = if ended { "The saga has ended." } else { why_not };
        Act { name, words, why_not: (!possible(name)).then_some(why_not) }
    };
    let all = ALL.map(act);
    let suits = |act: &&Act| act.why_not.is_none() && !(act.name == "skip" && only_by_force(why));
    let chosen = all.iter().filter(suits).take(PRIMARY_MAX).cloned().collect::<Vec<_>>();
    let rest = all.into_iter().filter(|act| !chosen.contains(act)).collect();
    (chosen, rest)
}

/// True when a skip would be in the way of what is under way: it is possible, and nothing that a healthy saga calls for.
fn only_by_force(why: &Explanation) -> bool {
    !why.possible.iter().any(|act| matches!(act, PossibleAct::Skip { force: false, .. }))
}

/// The steps that an act can be of.
pub(crate) fn steps_of(why: &Explanation, name: &str) -> Vec<String> {
    let mut steps = Vec::new();
    for act in &why.possible {
        match act {
            PossibleAct::Retry { steps: of } if name == "retry" => steps.extend(of.iter().map(ToString::to_string)),
            PossibleAct::Edit { steps: of } if name == "edit" => steps.extend(of.iter().map(ToString::to_string)),
            PossibleAct::Resolve { steps: of } if name == "resolve" => steps.extend(of.iter().map(ToString::to_string)),
            PossibleAct::Skip { step, .. } if name == "skip" => steps.push(step.to_string()),
            PossibleAct::Timer { steps: of } if name.ends_with("_timer") => {
                steps.extend(of.iter().map(ToString::to_string));
            }
            PossibleAct::Retry { .. }
            | PossibleAct::Edit { .. }
            | PossibleAct::Resolve { .. }
            | PossibleAct::Skip { .. }
            | PossibleAct::Timer { .. }
            | PossibleAct::Migrate { .. }
            | PossibleAct::Cancel {}
            | PossibleAct::Release {}
            | PossibleAct::Abandon {}
            | PossibleAct::Pause {}
            | PossibleAct::Resume {} => {}
        }
    }
    if name == "reschedule_timer" {
        steps.extend(why.reasons.iter().filter_map(missed_signal));
    }
    steps
}

/// The step that misses its signal at a time, which can be set anew.
fn missed_signal(reason: &StandstillReason) -> Option<String> {
    match reason {
        StandstillReason::SignalAwaited { step, miss_at: Some(_), .. } => Some(step.to_string()),
        _ => None,
    }
}

/// The signals that steps wait for.
pub(crate) fn signals(why: &Explanation) -> Vec<String> {
    let awaited = why.reasons.iter().filter_map(|reason| {
        if let StandstillReason::SignalAwaited { signal, .. } = reason { Some(signal.to_string()) } else { None }
    });
    awaited.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn explanation(status: &str, possible: serde_json::Value) -> Explanation {
        let told = json!({
            "saga_id": "saga_00000000000000000000000000000007", "status": status, "head": 3, "sentence": "",
            "reasons": [], "steps": [], "domains": [], "possible": possible,
        });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn an_act_that_the_saga_would_not_take_says_why() {
        let why =
            explanation("needs_attention", json!([{"act": "retry", "steps": ["capture-payment"]}, {"act": "abandon"}]));
        let (primary, rest) = acts(&why, true);
        assert_eq!(primary.iter().map(|act| act.name).collect::<Vec<_>>(), ["retry", "abandon"]);
        assert!(rest.iter().all(|act| act.why_not.is_some()));
        assert_eq!(primary.len() + rest.len(), ALL.len());
        assert_eq!(steps_of(&why, "retry"), ["capture-payment"]);
    }

    #[test]
    fn a_skip_by_force_stands_in_the_menu() {
        let skip = |force: bool| json!([{"act": "skip", "step": "insure", "force": force}, {"act": "cancel"}]);
        let primary = |force| acts(&explanation("running", skip(force)), true).0;
        assert_eq!(primary(true).iter().map(|act| act.name).collect::<Vec<_>>(), ["cancel"]);
        assert_eq!(primary(false).iter().map(|act| act.name).collect::<Vec<_>>(), ["skip", "cancel"]);
        let (_, rest) = acts(&explanation("running", skip(true)), true);
        assert!(rest.iter().any(|act| act.name == "skip" && act.why_not.is_none()));
    }

    #[test]
    fn a_saga_that_has_ended_takes_no_act() {
        let (primary, rest) = acts(&explanation("completed", json!([])), true);
        assert!(primary.is_empty());
        assert!(rest.iter().all(|act| act.why_not == Some("The saga has ended.")));
    }
}
