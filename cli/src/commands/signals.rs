//! `sagactl signals`: the signals that a saga's steps wait for, each with the one that came, and those that are kept for a step.

use chrono::{DateTime, Utc};
use contract::SagaId;
use serde::Serialize;

use crate::{
    args::{One, Output},
    client::Client,
    failure::Failure,
    output::{self, printable},
    seen::{Told, View, words},
};

/// A signal that is waited for, or has come.
#[derive(Debug, Serialize)]
struct Signal {
    signal: String,
    /// None while it is kept for a step.
    step: Option<String>,
    /// The status of the step, or `kept`.
    status: String,
    /// The time at which it is missed.
    until: Option<DateTime<Utc>>,
    /// The id that its sender gave it, once it has come.
    id: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(client: &Client, one: &One, output: Output) -> Result<(), Failure> {
    let id: SagaId = one.id.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    let view = client.get::<Told<View>>(&format!("/sagas/{id}"), &[]).await?;
    let signals = signals_of(&view);
    match output {
        Output::Table if signals.is_empty() => output::note("no signals"),
        Output::Table => {
            let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), printable);
            let rows = signals.iter().map(|Signal { signal, step, status, until, id }| {
                let until = until.map_or_else(|| "-".to_owned(), output::time);
                vec![printable(signal), text(step), words(status), until, text(id)]
            });
            output::print_line(&output::table(&["SIGNAL", "STEP", "STATUS", "UNTIL", "ID"], rows))?;
        }
        Output::Json | Output::Yaml => output::print_document(&signals, output)?,
        Output::Jsonl => signals.iter().try_for_each(output::print_json_line)?,
        Output::Ids => {
            signals
                .iter()
                .filter_map(|signal| signal.id.as_deref())
                .map(printable)
                .try_for_each(|id| output::print_line(&id))?;
        }
    }
    Ok(())
}

fn signals_of(view: &View) -> Vec<Signal> {
    let steps = view.steps.iter().filter_map(|step| {
        let signal = step.signal.clone()?;
        let woken_by = view.signals.iter().find(|heard| heard.step.as_ref() == Some(&step.name));
        let (until, id) = (step.wake_at, woken_by.map(|heard| heard.id.clone()));
        Some(Signal { signal, step: Some(step.name.clone()), status: step.status.clone(), until, id })
    });
    let kept = view.signals.iter().filter(|heard| heard.step.is_none()).map(|heard| Signal {
        signal: heard.name.clone(),
        step: None,
        status: "kept".to_owned(),
        until: None,
        id: Some(heard.id.clone()),
    });
    steps.chain(kept).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_signal_stands_with_its_step_and_one_that_is_early_is_kept() {
        let view: View = serde_json::from_value(json!({
            "steps": [
                { "name": "approval", "work": "signal", "signal": "approve", "status": "done" },
                { "name": "card", "work": "signal", "signal": "card-approved", "status": "waiting", "wake_at": "2026-12-01T08:00:00Z" },
                { "name": "pay", "work": "command", "status": "pending" },
            ],
            "signals": [{ "id": "evt_1", "name": "approve", "step": "approval" }, { "id": "evt_2", "name": "ship" }],
        }))
        .unwrap();
        let told: Vec<_> = signals_of(&view)
            .into_iter()
            .map(|one| (one.signal, one.step, one.status, one.until.is_some(), one.id))
            .collect();
        let text = |text: &str| Some(text.to_owned());
        let line =
            |signal: &str, step, status: &str, until, id| (signal.to_owned(), step, status.to_owned(), until, id);
        assert_eq!(
            told,
            [
                line("approve", text("approval"), "done", false, text("evt_1")),
                line("card-approved", text("card"), "waiting", true, None),
                line("ship", None, "kept", false, text("evt_2")),
            ]
        );
    }
}
