//! `sagactl signal` and `sagactl timers`: the waits of a saga, and the signal that ends one.

use chrono::{DateTime, Utc};
use contract::{
    SagaId,
    orchestrator_api::{SagaView, SignalEffect, SignalRequest, StepWork},
};
use serde::Serialize;

use crate::{
    args::{One, Output, Signal},
    client::Client,
    failure::Failure,
    output,
};

fn saga(text: &str) -> Result<SagaId, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("{error}")))
}

/// Sends a signal. Its own id, unless one is given, is the time at which it is sent.
pub(crate) async fn signal(client: &Client, signal: Signal, output: Output, now: DateTime<Utc>) -> Result<(), Failure> {
    let Signal { id, name, payload, signal_id } = signal;
    let saga = saga(&id)?;
    let own = || format!("sagactl-{}", now.timestamp_micros()).parse();
    let id = signal_id.map_or_else(own, Ok).map_err(|error| Failure::usage(error.to_string()))?;
    let request = SignalRequest { id, payload, only_here: false };
    let effect = client.post::<SignalEffect>(&format!("/sagas/{saga}/signals/{name}"), &request).await?;
    match output {
        Output::Table => output::print_line(&output::printable(&match &effect {
            SignalEffect::Woke { step } => format!("woke {step}"),
            SignalEffect::Kept {} => "kept for a step that is not reached yet".to_owned(),
            SignalEffect::None { why } => format!("no effect: {why}"),
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
    timer: &'static str,
    /// None for the deadline of the whole saga.
    step: Option<String>,
    at: DateTime<Utc>,
}

/// Lists the times at which a saga goes on by itself, earliest first.
pub(crate) async fn timers(client: &Client, one: &One, output: Output) -> Result<(), Failure> {
    let saga = saga(&one.id)?;
    let view = client.get::<SagaView>(&format!("/sagas/{saga}"), &[]).await?;
    let timers = timers_of(&view);
    match output {
        Output::Table => {
            let rows = timers.iter().map(|Timer { timer, step, at }| {
                vec![output::time(*at), (*timer).to_owned(), step.clone().unwrap_or_else(|| "-".to_owned())]
            });
            output::print_line(&output::table(&["AT", "TIMER", "STEP"], rows))
        }
        Output::Json | Output::Yaml => output::print_document(&timers, output),
        Output::Jsonl => timers.iter().try_for_each(output::print_json_line),
        Output::Ids => timers.iter().filter_map(|timer| timer.step.as_deref()).try_for_each(output::print_line),
    }
}

fn timers_of(view: &SagaView) -> Vec<Timer> {
    let mut timers: Vec<_> =
        view.deadline_at.map(|at| Timer { timer: "deadline", step: None, at }).into_iter().collect();
    for step in &view.steps {
        let waits = match &step.work {
            StepWork::Command { .. } => "command",
            StepWork::Signal { .. } => "signal missed",
            StepWork::Child { .. } => "child",
            StepWork::Timer {} => "timer",
        };
        let step_at = |timer, at| Timer { timer, step: Some(step.name.to_string()), at };
        timers.extend(step.wake_at.map(|at| step_at(waits, at)));
        timers.extend(step.valid_until.map(|at| step_at("hold lapses", at)));
        timers.extend(step.retry_at.map(|at| step_at("retry", at)));
    }
    timers.sort_by_key(|timer| timer.at);
    timers
}
