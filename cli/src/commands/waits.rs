//! `sagactl signal` and `sagactl timers`: the waits of a saga, and the signal that ends one.

use chrono::{DateTime, Utc};
use contract::{SagaId, orchestrator_api::SignalRequest};
use serde::Serialize;

use crate::{
    args::{One, Output, Signal},
    call::Call,
    client::Client,
    failure::Failure,
    output,
    seen::{SignalEffect, Told, View, words},
};

fn saga(text: &str) -> Result<SagaId, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("{error}")))
}

/// Sends a signal. Its own id, unless one is given, is the time at which it is sent.
pub(crate) async fn signal(call: &Call, signal: Signal) -> Result<(), Failure> {
    let output = call.output;
    let Signal { id, name, payload, signal_id } = signal;
    let saga = saga(&id)?;
    let own = || format!("sagactl-{}", call.now.timestamp_micros()).parse();
    let id = signal_id.map_or_else(own, Ok).map_err(|error| Failure::usage(error.to_string()))?;
    let request = SignalRequest { id, payload, only_here: false };
    let effect = call.client.post::<Told<SignalEffect>>(&format!("/sagas/{saga}/signals/{name}"), &request).await?;
    match output {
        Output::Table => output::print_line(&output::printable(&match effect.effect.as_str() {
            "woke" => format!("woke {}", effect.step),
            "kept" => "kept for a step that is not reached yet".to_owned(),
            "none" => format!("no effect: {}", effect.why),
            other => words(other),
        })),
        Output::Json | Output::Yaml => output::print_document(&effect, output),
        Output::Jsonl => output::print_json_line(&effect),
        Output::Ids => output::print_line(&saga.to_string()),
    }
}

/// One time at which a saga goes on by itself.
#[derive(Debug, Serialize)]
struct Timer {
    /// The kind of wait.
    timer: String,
    /// None for the deadline of the whole saga.
    step: Option<String>,
    at: DateTime<Utc>,
}

/// Lists the times at which a saga goes on by itself, earliest first.
pub(crate) async fn timers(client: &Client, one: &One, output: Output) -> Result<(), Failure> {
    let saga = saga(&one.id)?;
    let view = client.get::<Told<View>>(&format!("/sagas/{saga}"), &[]).await?;
    let timers = timers_of(&view);
    match output {
        Output::Table if timers.is_empty() => {
            output::note("no timers");
            Ok(())
        }
        Output::Table => {
            let rows = timers.iter().map(|Timer { timer, step, at }| {
                vec![output::time(*at), output::printable(timer), step.clone().unwrap_or_else(|| "-".to_owned())]
            });
            output::print_line(&output::table(&["AT", "TIMER", "STEP"], rows))
        }
        Output::Json | Output::Yaml => output::print_document(&timers, output),
        Output::Jsonl => timers.iter().try_for_each(output::print_json_line),
        Output::Ids => timers.iter().filter_map(|timer| timer.step.as_deref()).try_for_each(output::print_line),
    }
}

fn timers_of(view: &View) -> Vec<Timer> {
    let mut timers: Vec<_> =
        view.deadline_at.map(|at| Timer { timer: "deadline".to_owned(), step: None, at }).into_iter().collect();
    for step in &view.steps {
        let waits = match step.work.as_str() {
            Some("signal") => "signal missed".to_owned(),
            Some(work) => words(work),
            None => "wait".to_owned(),
        };
        let step_at =
            |timer: &str, at| Timer { timer: timer.to_owned(), step: Some(output::printable(&step.name)), at };
        timers.extend(step.wake_at.map(|at| step_at(&waits, at)));
        timers.extend(step.valid_until.map(|at| step_at("hold lapses", at)));
        timers.extend(step.retry_at.map(|at| step_at("retry", at)));
    }
    timers.sort_by_key(|timer| timer.at);
    timers
}
