//! The effect ledger: what a saga holds right now, by which step, and what undoes it.

use chrono::{DateTime, Utc};
use contract::{
    orchestrator_api::{StepView, StepWork},
    saga::{StepKind, StepStatus},
};
use serde_json::Value;

use super::{
    names, numbers,
    times::{self, Moment},
};

/// One effect that stands.
pub(crate) struct Line {
    pub(crate) step: String,
    /// The command or wait that brought it about.
    pub(crate) by: String,
    /// The facts of the reply that name it: references, amounts.
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) until: Option<Moment>,
    /// The command that undoes it; none past the point of no return.
    pub(crate) undone_by: Option<String>,
    /// True where undoing it was tried and did not succeed.
    pub(crate) stuck: bool,
}

/// The most facts of one line: the rest stands in the journal.
const FACTS_MAX: usize = 4;

/// The endings of the names under which replies tell references and amounts. Names of people are not among them.
const TELLING: [&str; 7] = ["_id", "reference", "amount", "total", "number", "status", "tickets"];

/// The names under which replies tell until when something is held.
const LAPSING: [&str; 2] = ["expires_at", "capture_before"];

/// The effects that stand, in the order of the steps. A wait and a step that was not needed have none; a hold that a
/// later step has renewed is told by that step.
pub(crate) fn lines(steps: &[StepView], now: DateTime<Utc>) -> Vec<Line> {
    let past_pivot = steps.iter().any(|step| step.kind == StepKind::Pivot && step.status == StepStatus::Done);
    let standing: Vec<&StepView> = steps.iter().filter(|step| stands(step)).collect();
    let told = standing.iter().enumerate().filter_map(|(place, step)| {
        let later = standing.get(place + 1..).unwrap_or_default();
        if later.iter().any(|other| renews(other, step)) {
            return None;
        }
        let settled = past_pivot && later.iter().any(|other| settles(other, step));
        let mut line = line(step, now)?;
        line.until = line.until.filter(|_| !settled);
        line.undone_by = line.undone_by.filter(|_| !past_pivot);
        Some(line)
    });
    told.collect()
}

/// Both hold something for a time, and one command undoes both.
fn renews(later: &StepView, hold: &StepView) -> bool {
    until(later).is_some()
        && until(hold).is_some()
        && later.compensation.is_some()
        && later.compensation == hold.compensation
}

/// A confirmation or a capture: a step from the pivot on, of the domain that holds, leaves nothing to lapse.
fn settles(later: &StepView, hold: &StepView) -> bool {
    let domain = |step: &StepView| match &step.work {
        StepWork::Command { route, .. } => Some(*route),
        StepWork::Child { .. } | StepWork::Signal { .. } | StepWork::Timer {} => None,
    };
    later.kind != StepKind::Compensatable && domain(hold).is_some() && domain(later) == domain(hold)
}

fn stands(step: &StepView) -> bool {
    let reply = step.reply.as_ref();
    match step.status {
        StepStatus::Done => true,
        // A step that needs a person while it has a reply is one whose undoing is stuck.
        StepStatus::Compensating | StepStatus::NeedsAttention => reply.is_some(),
        StepStatus::Pending
        | StepStatus::NotApplicable
        | StepStatus::Dispatched
        | StepStatus::Retrying
        | StepStatus::Waiting
        | StepStatus::Refused
        | StepStatus::Compensated => false,
    }
}

fn line(step: &StepView, now: DateTime<Utc>) -> Option<Line> {
    let by = match &step.work {
        StepWork::Command { command, .. } => command.clone(),
        StepWork::Child { saga, .. } => format!("the saga {}", names::words(saga)),
        StepWork::Signal { .. } | StepWork::Timer {} => return None,
    };
    Some(Line {
        step: step.name.to_string(),
        by,
        facts: step.reply.as_ref().map(facts).unwrap_or_default(),
        until: until(step).map(|until| times::moment(until, now)),
        undone_by: step.compensation.clone(),
        stuck: step.status == StepStatus::NeedsAttention,
    })
}

fn facts(reply: &Value) -> Vec<(String, String)> {
    let Some(fields) = reply.as_object() else { return Vec::new() };
    let told = fields.iter().filter_map(|(name, value)| {
        let telling = TELLING.iter().any(|ending| name.ends_with(ending));
        let text = match value {
            Value::String(text) if telling => names::shortened(text),
            Value::Number(number) if telling => number.to_string(),
            Value::Array(items) if telling => items.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join(", "),
            Value::Object(_) => money(value)?,
            Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Null | Value::Bool(_) => return None,
        };
        Some((names::words(name), text))
    });
    told.take(FACTS_MAX).collect()
}

/// The time until which an effect stands: the one that the saga depends on, or the reply's own.
fn until(step: &StepView) -> Option<DateTime<Utc>> {
    let told = |name: &&str| step.reply.as_ref()?.get(name)?.as_str()?.parse().ok();
    step.valid_until.or_else(|| LAPSING.iter().find_map(told))
}

/// An amount with its currency, its thousands apart.
pub(crate) fn money(value: &Value) -> Option<String> {
    let (amount, currency) = (value.get("amount")?.as_str()?, value.get("currency")?.as_str()?);
    let (whole, rest) = amount.split_once('.').map_or((amount, None), |(whole, rest)| (whole, Some(rest)));
    let decimals = rest.map_or_else(String::new, |rest| format!(".{rest}"));
    Some(format!("{}{decimals} {currency}", numbers::grouped(whole)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn step(status: &str, reply: Value) -> StepView {
        serde_json::from_value(json!({
            "name": "authorize-payment", "kind": "compensatable", "work": "command", "route": "payment",
            "command": "payment.authorize", "compensation": "payment.void", "after": [], "status": status,
            "attempts": 1, "reply": reply,
        }))
        .unwrap()
    }

    #[test]
    fn what_took_effect_stands_until_it_is_undone_and_what_could_not_be_undone_stands_out() {
        let now = DateTime::UNIX_EPOCH;
        let reply = json!({"authorized_amount": {"amount": "4801.00", "currency": "EUR"}, "guest": "Ada"});
        let told = |status| lines(&[step(status, reply.clone())], now);
        let done = told("done");
        assert_eq!(done[0].facts, [("authorized amount".to_owned(), "4,801.00 EUR".to_owned())]);
        assert_eq!(done[0].undone_by.as_deref(), Some("payment.void"));
        assert!(!done[0].stuck && told("needs_attention")[0].stuck);
        assert!(told("compensated").is_empty() && told("pending").is_empty());
        assert!(lines(&[step("needs_attention", Value::Null)], now).is_empty(), "it never took effect");
    }

    #[test]
    fn a_renewed_hold_is_told_once_and_past_the_pivot_nothing_lapses_or_is_undone() {
        let now = DateTime::UNIX_EPOCH;
        let seats = |name: &str, kind: &str, status: &str, reply: Value| -> StepView {
            let compensation = (kind == "compensatable").then_some("flights.release_seats");
            serde_json::from_value(json!({
                "name": name, "kind": kind, "work": "command", "route": "flights", "command": format!("flights.{name}"),
                "compensation": compensation, "after": [], "status": status, "attempts": 1, "reply": reply,
            }))
            .unwrap()
        };
        let held = json!({"expires_at": "1970-01-01T00:20:00Z"});
        let told = |confirmed: &str| {
            let steps = [
                seats("hold", "compensatable", "done", held.clone()),
                seats("extend", "compensatable", "done", held.clone()),
                seats("confirm", "pivot", confirmed, json!({"booking_reference": "6FHH4Z"})),
            ];
            let line = |line: Line| (line.step, line.until.is_some(), line.undone_by.is_some());
            lines(&steps, now).into_iter().map(line).collect::<Vec<_>>()
        };
        assert_eq!(told("dispatched"), [("extend".to_owned(), true, true)]);
        assert_eq!(told("done"), [("extend".to_owned(), false, false), ("confirm".to_owned(), false, false)]);
    }
}
