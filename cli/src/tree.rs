//! A saga's steps as text: numbered stages in the order in which they run, parallel steps beneath their stage, every
//! status as a word. Nothing is told by color, position or drawn lines alone, so that it also reads well aloud.

use std::collections::HashMap;

use crate::{
    output::{printable, time},
    seen::{Cause, SagaPause, Step, View, words},
};

/// The whole saga, ending with a line break.
pub(crate) fn render(view: &View) -> String {
    let mut text = head(view);
    text.push_str("\nSteps\n");
    for (index, stage) in stages(&view.steps).iter().enumerate() {
        match stage.as_slice() {
            [only] => text.push_str(&format!("{}. {}\n", index + 1, step_line(only))),
            several => {
                text.push_str(&format!("{}. in parallel\n", index + 1));
                for step in several {
                    text.push_str(&format!("   - {}\n", step_line(step)));
                }
            }
        }
    }
    if !view.dead_letters.is_empty() {
        text.push_str("\nDead letters\n");
        for letter in &view.dead_letters {
            let again = letter.redriven_at.map_or_else(String::new, |at| format!(", redriven {}", time(at)));
            text.push_str(&format!(
                "- {} from {}, {}{again}: {}\n",
                letter.id,
                printable(&letter.queue),
                time(letter.received_at),
                printable(&letter.reason)
            ));
        }
    }
    text
}

fn head(view: &View) -> String {
    let saga = &view.summary;
    let mut lines = vec![
        ("Saga", printable(&saga.id)),
        ("Definition", printable(&format!("{} v{}", saga.name, saga.version))),
        ("Status", words(&saga.status)),
        ("Business key", printable(&saga.business_key)),
    ];
    lines.extend(view.pause.as_ref().map(|of| ("Paused", pause(of))));
    lines.extend(saga.owner.as_deref().map(|owner| ("Owner", printable(owner))));
    lines.extend(saga.attributes.iter().map(|(name, value)| ("Attribute", printable(&format!("{name}:{value}")))));
    lines.push(("Started", time(saga.created_at)));
    lines.push(("Changed", time(saga.updated_at)));
    lines.extend(saga.finished_at.map(|at| ("Finished", time(at))));
    lines.extend(view.deadline_at.map(|at| ("Deadline", time(at))));
    lines.extend(saga.holds_until.map(|at| ("Holds until", time(at))));
    lines.extend(view.next_wake_at.map(|at| ("Next look", time(at))));
    lines.extend(view.cause.as_ref().map(|why| ("Cause", cause(why))));
    lines.iter().map(|(name, value)| format!("{:<14}{value}\n", format!("{name}:"))).collect()
}

/// One step on one line: `hold-seats (compensatable): retrying, attempt 2, again at ...; code: message`.
pub(crate) fn step_line(step: &Step) -> String {
    let mut text = format!("{} ({}): {}", printable(&step.name), words(&step.kind), words(&step.status));
    if step.skipped {
        text.push_str(", skipped by an operator");
    }
    if let Some(evidence) = &step.resolved {
        text.push_str(&format!(" by hand ({})", printable(evidence)));
    }
    if !step.edited.is_empty() {
        text.push_str(", edited by an operator");
    }
    if step.attempts > 1 {
        text.push_str(&format!(", attempt {}", step.attempts));
    }
    if let Some(at) = step.retry_at {
        text.push_str(&format!(", again at {}", time(at)));
    }
    if let Some(at) = step.wake_at {
        text.push_str(&format!(", until {}", time(at)));
    }
    if let Some(at) = step.valid_until {
        text.push_str(&format!(", held until {}", time(at)));
    }
    if let Some(error) = &step.error {
        text.push_str(&format!("; {}: {}", printable(&error.code), printable(&error.message)));
    }
    text
}

fn pause(pause: &SagaPause) -> String {
    let SagaPause { since, clock, holds, quiescent } = pause;
    let rest = if *quiescent { "quiescent" } else { "not quiescent yet" };
    format!("since {}, clock {}, holds {}, {rest}", time(*since), words(clock), words(holds))
}

fn cause(cause: &Cause) -> String {
    let place = cause.step.as_ref().map_or_else(String::new, |step| format!(" at {step}"));
    printable(&format!("{}{place}: {}", cause.code, cause.message))
}

/// Steps by the length of the longest way to them.
fn stages(steps: &[Step]) -> Vec<Vec<&Step>> {
    let mut depths: HashMap<&str, usize> = HashMap::new();
    let mut stages: Vec<Vec<&Step>> = Vec::new();
    // Steps come in an order in which each stands behind what it waits for; one that did not would start a stage.
    for step in steps {
        let depth =
            step.after.iter().filter_map(|name| depths.get(name.as_str())).max().map_or(0, |deepest| deepest + 1);
        depths.insert(&step.name, depth);
        if stages.len() <= depth {
            stages.resize_with(depth + 1, Vec::new);
        }
        stages[depth].push(step);
    }
    stages
}
