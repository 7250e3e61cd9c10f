//! The reasons of an explanation as one sentence for people.

use chrono::{DateTime, SecondsFormat, Utc};
use contract::{
    orchestrator_api::StandstillReason,
    saga::{PauseClock, SagaStatus},
    step::Op,
};

/// Reasons that one sentence tells: a reader who wants more has the data.
const TOLD_MAX: usize = 3;

/// One sentence of the most important reasons.
pub(super) fn of(reasons: &[StandstillReason]) -> String {
    let told: Vec<_> = reasons.iter().take(TOLD_MAX).map(clause).collect();
    let more = match reasons.len().saturating_sub(TOLD_MAX) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let text = format!("{}{more}.", told.join("; "));
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

fn clause(reason: &StandstillReason) -> String {
    match reason {
        StandstillReason::Ended { status, at } => {
            format!("the saga has ended as {} at {}", status.as_str(), time(*at))
        }
        StandstillReason::Quarantined { code, detail, since } => {
            format!("the saga is left alone since {}, until a person releases it: {detail} ({code})", time(*since))
        }
        StandstillReason::Unreadable { code, detail } => {
            format!("the orchestrator that was asked cannot read the saga: {detail} ({code})")
        }
        StandstillReason::Paused { since, clock, quiescent } => {
            let clock = match clock {
                PauseClock::Freeze => "its clock is frozen",
                PauseClock::Run => "its clock runs on",
            };
            let rest = if *quiescent { "nothing of it is under way" } else { "it is not quiescent yet" };
            format!("the saga is paused since {}, until a person resumes it: {clock}, {rest}", time(*since))
        }
        StandstillReason::PersonAwaited { step, op, code } => {
            format!("{} waits for a person ({code})", named(step.as_str(), *op))
        }
        StandstillReason::Orphaned {} => {
            "nothing of the saga is due, under way or waited for, which the engine has to repair".to_owned()
        }
        StandstillReason::LaneSilent { shard } => {
            format!("the lane of shard {shard} gave no answer: no orchestrator serves it, or the broker is away")
        }
        StandstillReason::TakeoverUnderWay { shard } => {
            format!("shard {shard} has just been taken over, and the saga is not loaded yet")
        }
        StandstillReason::BrokerTakesNothing {} => "the broker takes no commands".to_owned(),
        StandstillReason::QueueRefuses { route, since } => {
            format!("the broker takes no commands for {} since {}", route.as_str(), time(*since))
        }
        StandstillReason::DomainSilent { route, since, next_probe_at } => {
            let (route, since, probe) = (route.as_str(), time(*since), time(*next_probe_at));
            format!("{route} answers nothing since {since}, and is asked again at {probe}")
        }
        StandstillReason::ConsumersMissing { route, messages } => {
            format!("no worker reads the queue of {}, in which {messages} messages wait", route.as_str())
        }
        StandstillReason::CommandPaused { step, op, scope, since } => {
            format!(
                "the command of {} is held back: {scope} is paused since {}",
                named(step.as_str(), *op),
                time(*since)
            )
        }
        StandstillReason::RoomAwaited { step, route, window } => {
            let route = route.as_str();
            format!("the command of `{step}` waits for room: {window} commands may be under way to {route} at a time")
        }
        StandstillReason::ConfirmAwaited { step, route } => {
            format!("the broker has not confirmed the command of `{step}` to {} yet", route.as_str())
        }
        StandstillReason::ReplyAwaited { step, op, route, since, reply_by } => {
            let (step, since, due) = (named(step.as_str(), *op), time(*since), time(*reply_by));
            format!("{step} awaits the reply of {} since {since}, which is due at {due}", route.as_str())
        }
        StandstillReason::SignalAwaited { step, signal, miss_at } => {
            let end = miss_at.map_or_else(String::new, |at| format!(", which must come until {}", time(at)));
            format!("`{step}` waits for the signal `{signal}`{end}")
        }
        StandstillReason::ChildAwaited { step, op, child, status, paused, quarantine } => {
            let stands = match (quarantine, status) {
                (Some(code), _) => format!("is left alone until a person releases it ({code})"),
                (None, Some(status)) if *paused => format!("{} and is paused", stands(*status)),
                (None, status) => status.map_or("cannot be read", stands).to_owned(),
            };
            format!("{} waits for its child {child}, which {stands}", named(step.as_str(), *op))
        }
        StandstillReason::TimeAwaited { step, at } => format!("`{step}` waits until {}", time(*at)),
        StandstillReason::AttemptAwaited { step, op, at, code } => {
            format!("{} failed ({code}) and is tried again at {}", named(step.as_str(), *op), time(*at))
        }
    }
}

/// How a child stands.
const fn stands(status: SagaStatus) -> &'static str {
    match status {
        SagaStatus::Running => "is running",
        SagaStatus::Compensating => "is being undone",
        SagaStatus::NeedsAttention => "needs a person",
        SagaStatus::Completed => "is completed",
        SagaStatus::Compensated => "is compensated",
        SagaStatus::Abandoned => "was given up",
    }
}

fn named(step: &str, op: Op) -> String {
    match op {
        Op::Action => format!("`{step}`"),
        Op::Compensation => format!("the compensation of `{step}`"),
        Op::Extension => format!("the extension of what `{step}` holds"),
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
