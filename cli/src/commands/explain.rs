//! `sagactl explain`: why a saga is not moving, in one sentence and point by point.

use contract::{
    SagaId,
    orchestrator_api::{
        CircuitCause, CommandPlace, DomainState, Explanation, FlowState, OpenCircuit, OpenStep, PossibleAct,
    },
    step::{Op, StepName},
};

use crate::{
    args::{One, Output},
    client::Client,
    failure::Failure,
    output::{self, printable, time},
    tree,
};

/// Runs the command.
pub(crate) async fn run(client: &Client, one: &One, output: Output) -> Result<(), Failure> {
    let id: SagaId = one.id.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    let explanation: Explanation = client.get(&format!("/sagas/{id}/explanation"), &[]).await?;
    match output {
        Output::Table => output::print(&render(&explanation)),
        Output::Json | Output::Yaml => output::print_document(&explanation, output),
        Output::Jsonl => output::print_json_line(&explanation),
        Output::Ids => output::print_line(&explanation.saga_id.to_string()),
    }
}

fn render(explanation: &Explanation) -> String {
    let mut text = head(explanation);
    section(&mut text, "Steps that wait", explanation.steps.iter().map(step));
    section(&mut text, "Domains", explanation.domains.iter().map(domain));
    section(&mut text, "Possible now", explanation.possible.iter().map(act));
    text
}

fn head(explanation: &Explanation) -> String {
    let mut lines = vec![("Saga", explanation.saga_id.to_string())];
    lines.extend(explanation.status.map(|status| ("Status", tree::words(status.as_str()))));
    lines.push(("Why", printable(&explanation.sentence)));
    lines.extend(explanation.deadline_at.map(|at| ("Deadline", time(at))));
    lines.extend(explanation.clock_stands_since.map(|at| ("Clock stands", format!("since {}", time(at)))));
    lines.extend(explanation.next_wake_at.map(|at| ("Next look", time(at))));
    let starts = explanation.lane.as_ref().and_then(|lane| lane.starts_refused_for.as_deref());
    lines.extend(starts.map(|limit| ("New starts", format!("refused: {}", printable(limit)))));
    lines.iter().map(|(name, value)| format!("{:<14}{value}\n", format!("{name}:"))).collect()
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let lines: String = lines.map(|line| format!("- {line}\n")).collect();
    if !lines.is_empty() {
        text.push_str(&format!("\n{title}\n{lines}"));
    }
}

fn step(step: &OpenStep) -> String {
    let direction = match step.op {
        Op::Action => "",
        Op::Compensation => ", compensation",
        Op::Extension => ", extension",
    };
    let most = step.attempts_max.map_or_else(String::new, |most| format!(" of {most}"));
    let mut text = format!("{} ({}{direction}): attempt {}{most}", step.name, step.route.as_str(), step.attempts);
    text.extend(step.sent_at.map(|at| format!(", sent {}", time(at))));
    text.extend(step.command_is.map(place));
    text.extend(step.reply_by.map(|at| format!(", reply due {}", time(at))));
    text.extend(step.retry_at.map(|at| format!(", again at {}", time(at))));
    text.extend(
        step.error.as_ref().map(|error| format!("; {}: {}", printable(&error.code), printable(&error.message))),
    );
    text
}

fn place(place: CommandPlace) -> String {
    match place {
        CommandPlace::Held => ", held back in its lane",
        CommandPlace::Published => ", published and not confirmed",
        CommandPlace::Confirmed => ", confirmed by the broker",
        CommandPlace::Unknown => ", its place unknown",
    }
    .to_owned()
}

fn domain(domain: &DomainState) -> String {
    let mut parts = Vec::new();
    match &domain.queue {
        Some(queue) => parts.push(format!("{} messages in its queue, {} consumers", queue.messages, queue.consumers)),
        None => parts.push("its queue is unknown".to_owned()),
    }
    match &domain.flow {
        Some(FlowState { window, under_way, held_sagas, circuit }) => {
            parts.push(format!("{under_way} of {window} commands under way, {held_sagas} sagas held"));
            parts.extend(circuit.map(open));
        }
        None => parts.push("the lane gave no answer".to_owned()),
    }
    format!("{}: {}", domain.route.as_str(), parts.join("; "))
}

fn open(circuit: OpenCircuit) -> String {
    let cause = match circuit.cause {
        CircuitCause::DomainSilent => "it answers nothing",
        CircuitCause::QueueRefuses => "the broker does not take its commands",
    };
    format!("circuit open since {}: {cause}; next probe {}", time(circuit.since), time(circuit.next_probe_at))
}

fn act(act: &PossibleAct) -> String {
    let on = |act: &str, steps: &[StepName]| {
        let steps: Vec<_> = steps.iter().map(StepName::as_str).collect();
        format!("{act}: {}", steps.join(", "))
    };
    match act {
        PossibleAct::Retry { steps } => on("retry", steps),
        PossibleAct::Edit { steps } => on("edit", steps),
        PossibleAct::Resolve { steps } => on("resolve by hand", steps),
        PossibleAct::Timer { steps } => on("timer fire or reschedule", steps),
        PossibleAct::Migrate { versions } => {
            let versions: Vec<_> = versions.iter().map(u32::to_string).collect();
            format!("migrate --to {}", versions.join(" or "))
        }
        PossibleAct::Skip { step, force: false } => format!("skip --step {step}"),
        PossibleAct::Skip { step, force: true } => format!("skip --step {step} --force"),
        PossibleAct::Cancel {} => "cancel".to_owned(),
        PossibleAct::Release {} => "release from quarantine".to_owned(),
        PossibleAct::Abandon {} => "abandon".to_owned(),
        PossibleAct::Pause {} => "pause".to_owned(),
        PossibleAct::Resume {} => "resume".to_owned(),
    }
}
