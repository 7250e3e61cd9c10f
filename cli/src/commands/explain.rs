//! `sagactl explain`: why a saga is not moving, in one sentence and point by point.

use contract::SagaId;

use crate::{
    args::{One, Output},
    client::Client,
    failure::Failure,
    output::{self, printable, time},
    seen::{Act, Circuit, Domain, Explanation, Flow, OpenStep, Told, words},
};

/// Runs the command.
pub(crate) async fn run(client: &Client, one: &One, output: Output) -> Result<(), Failure> {
    let id: SagaId = one.id.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    let explanation: Told<Explanation> = client.get(&format!("/sagas/{id}/explanation"), &[]).await?;
    match output {
        Output::Table => output::print(&render(&explanation)),
        Output::Json | Output::Yaml => output::print_document(&explanation, output),
        Output::Jsonl => output::print_json_line(&explanation),
        Output::Ids => output::print_line(&printable(&explanation.saga_id)),
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
    let mut lines = vec![("Saga", printable(&explanation.saga_id))];
    lines.extend(explanation.status.as_ref().map(|status| ("Status", words(status))));
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
    let direction = if step.op == "action" { String::new() } else { format!(", {}", words(&step.op)) };
    let most = step.attempts_max.map_or_else(String::new, |most| format!(" of {most}"));
    let mut text =
        format!("{} ({}{direction}): attempt {}{most}", printable(&step.name), printable(&step.route), step.attempts);
    text.extend(step.sent_at.map(|at| format!(", sent {}", time(at))));
    text.extend(step.command_is.as_deref().map(place));
    text.extend(step.reply_by.map(|at| format!(", reply due {}", time(at))));
    text.extend(step.retry_at.map(|at| format!(", again at {}", time(at))));
    text.extend(
        step.error.as_ref().map(|error| format!("; {}: {}", printable(&error.code), printable(&error.message))),
    );
    text
}

fn place(place: &str) -> String {
    match place {
        "held" => ", held back in its lane".to_owned(),
        "published" => ", published and not confirmed".to_owned(),
        "confirmed" => ", confirmed by the broker".to_owned(),
        "unknown" => ", its place unknown".to_owned(),
        other => format!(", {}", words(other)),
    }
}

fn domain(domain: &Domain) -> String {
    let mut parts = Vec::new();
    match &domain.queue {
        Some(queue) => {
            let (messages, consumers) = (queue.messages, queue.consumers);
            let of = |number, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
            parts.push(format!("{} in its queue, {}", of(messages, "message"), of(consumers, "consumer")));
        }
        None => parts.push("its queue is unknown".to_owned()),
    }
    match &domain.flow {
        Some(Flow { window, under_way, held_sagas, circuit }) => {
            parts.push(format!("{under_way} of {window} commands under way, {held_sagas} sagas held"));
            parts.extend(circuit.as_ref().map(open));
        }
        None => parts.push("the lane gave no answer".to_owned()),
    }
    format!("{}: {}", printable(&domain.route), parts.join("; "))
}

fn open(circuit: &Circuit) -> String {
    let cause = match circuit.cause.as_str() {
        "domain_silent" => "it answers nothing".to_owned(),
        "queue_refuses" => "the broker does not take its commands".to_owned(),
        other => words(other),
    };
    format!("circuit open since {}: {cause}; next probe {}", time(circuit.since), time(circuit.next_probe_at))
}

/// An act as it would be typed; one that is not known here is told with its fields.
fn act(act: &Act) -> String {
    let on = |verb: &str| format!("{verb}: {}", printable(&act.steps.join(", ")));
    match act.act.as_str() {
        "retry" => on("retry"),
        "edit" => on("edit"),
        "resolve" => on("resolve by hand"),
        "timer" => on("timer fire or reschedule"),
        "migrate" => {
            let versions: Vec<_> = act.versions.iter().map(u32::to_string).collect();
            format!("migrate --to {}", versions.join(" or "))
        }
        "skip" => format!("skip --step {}{}", printable(&act.step), if act.force { " --force" } else { "" }),
        "release" => "release from quarantine".to_owned(),
        other => {
            let steps = (!act.steps.is_empty()).then(|| act.steps.join(", "));
            let step = (!act.step.is_empty()).then(|| act.step.clone());
            let more = act.more.iter().map(|(name, value)| format!("{name} {value}"));
            let fields: Vec<_> = steps.into_iter().chain(step).chain(more).collect();
            let fields = if fields.is_empty() { String::new() } else { format!(": {}", fields.join(", ")) };
            printable(&format!("{}{fields}", words(other)))
        }
    }
}
