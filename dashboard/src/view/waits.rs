//! Waits of a saga for times, signals and next attempts, with the acts that end them; what it holds for a time; and the
//! signals that it has heard.

use chrono::{DateTime, Utc};
use contract::{
    orchestrator_api::{Explanation, PossibleAct, SagaView, StandstillReason, StepView, StepWork},
    saga::StepStatus,
};

use super::{
    acts, names,
    times::{self, Moment},
};

/// A time, a signal or an attempt that a step waits for.
pub(crate) struct Wait {
    /// The step; none for the deadline of the whole saga.
    pub(crate) step: Option<String>,
    pub(crate) waits_for: String,
    /// The word for what happens at that time.
    pub(crate) then: &'static str,
    pub(crate) at: Option<Moment>,
    /// The acts that a person can do: words, and the address below the saga's.
    pub(crate) acts: Vec<(&'static str, String)>,
}

/// A thing that is held for a time.
pub(crate) struct Hold {
    pub(crate) step: String,
    pub(crate) until: Moment,
    pub(crate) extended_by: Option<String>,
}

/// A signal that came.
pub(crate) struct Heard {
    pub(crate) name: String,
    pub(crate) id: String,
    /// The step that it woke.
    pub(crate) step: Option<String>,
}

/// All of them.
pub(crate) struct Waits {
    pub(crate) waits: Vec<Wait>,
    pub(crate) holds: Vec<Hold>,
    pub(crate) heard: Vec<Heard>,
}

pub(crate) fn waits(view: &SagaView, why: &Explanation, may_act: bool, now: DateTime<Utc>) -> Waits {
    let deadline = view.deadline_at.filter(|_| !view.summary.status.is_final()).map(|at| Wait {
        step: None,
        waits_for: "its pivot, the point of no return".to_owned(),
        then: "turned around",
        at: Some(times::moment(at, now)),
        acts: Vec::new(),
    });
    let steps = view.steps.iter().filter_map(|step| wait(step, why, may_act, now));
    let hold = |step: &StepView| {
        let until = times::moment(step.valid_until?, now);
        Some(Hold { step: step.name.to_string(), until, extended_by: step.extension.clone() })
    };
    let heard = view.signals.iter().map(|signal| Heard {
        name: signal.name.to_string(),
        id: signal.id.to_string(),
        step: signal.step.as_ref().map(ToString::to_string),
    });
    Waits {
        waits: steps.chain(deadline).collect(),
        holds: view.steps.iter().filter_map(hold).collect(),
        heard: heard.collect(),
    }
}

fn wait(step: &StepView, why: &Explanation, may_act: bool, now: DateTime<Utc>) -> Option<Wait> {
    let name = step.name.as_str();
    let (waits_for, then, at) = match (step.status, &step.work) {
        (StepStatus::Waiting, StepWork::Signal { signal }) => (format!("the signal {signal}"), "missed", step.wake_at),
        (StepStatus::Waiting, StepWork::Timer {}) => ("a time".to_owned(), "goes on", step.wake_at),
        (StepStatus::Waiting, StepWork::Child { saga, .. }) => {
            (format!("the saga {}", names::words(saga)), "", step.wake_at)
        }
        _ => ("its next attempt".to_owned(), "sent again", Some(step.retry_at?)),
    };
    let timer = may_act && why.possible.iter().any(|act| of_timer(act, name));
    let retried = may_act && why.possible.iter().any(|act| of_retry(act, name)) && step.retry_at.is_some();
    let signal = why.reasons.iter().find_map(|reason| match reason {
        StandstillReason::SignalAwaited { step, signal, .. } if step.as_str() == name => Some(signal.to_string()),
        _ => None,
    });
    let mut acts = Vec::new();
    acts.extend(signal.filter(|_| may_act).map(|signal| ("Send the signal", format!("signal?signal={signal}"))));
    if timer && matches!(step.work, StepWork::Timer {}) {
        acts.push(("Let it come now", format!("fire_timer?step={name}")));
    }
    if may_act && can_be_set_anew(why, name) && step.wake_at.is_some() {
        acts.push(("Set anew", format!("reschedule_timer?step={name}")));
    }
    if retried {
        acts.push(("Retry now", format!("retry?step={name}")));
    }
    Some(Wait { step: Some(name.to_owned()), waits_for, then, at: at.map(|at| times::moment(at, now)), acts })
}

/// True for a timer, and for a wait for a signal that ends.
fn can_be_set_anew(why: &Explanation, step: &str) -> bool {
    acts::steps_of(why, "reschedule_timer").iter().any(|of| of == step)
}

fn of_timer(act: &PossibleAct, step: &str) -> bool {
    matches!(act, PossibleAct::Timer { steps } if steps.iter().any(|of| of.as_str() == step))
}

fn of_retry(act: &PossibleAct, step: &str) -> bool {
    matches!(act, PossibleAct::Retry { steps } if steps.iter().any(|of| of.as_str() == step))
}
