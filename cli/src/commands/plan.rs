//! `sagactl plan` and `--dry-run`: the commands that an action would send, in order, without doing it.

use std::collections::BTreeMap;

use contract::{
    SagaId,
    orchestrator_api::{PLANS_MAX, PlansRequest},
    saga::{Action, FieldChange},
};
use serde_json::json;

use crate::{
    args::{self, Output},
    call::Call,
    client::Client,
    commands::bulk,
    failure::{Exit, Failure},
    output,
    seen::{Command, Left, Plan, Plans, Told, Total, words},
    select,
};

pub(crate) async fn run(call: &Call, plan: args::Plan) -> Result<(), Failure> {
    let (action, selection) = match plan {
        args::Plan::Retry { selection, step } => (Action::Retry { step }, selection),
        args::Plan::Cancel { selection } => (Action::Cancel {}, selection),
        args::Plan::Skip { selection, step, force, reply } => (Action::Skip { step, reply, force }, selection),
        args::Plan::Migrate { selection, to } => (Action::Migrate { version: to }, selection),
        args::Plan::Abandon { selection } => (Action::Abandon {}, selection),
    };
    print(&call.client, action, select::sagas(call, &selection).await?.ids, call.output).await
}

/// Prints the plans; an action that would be refused ends as the action itself would.
pub(crate) async fn print(client: &Client, action: Action, ids: Vec<SagaId>, output: Output) -> Result<(), Failure> {
    let mut request = PlansRequest { action, saga_ids: Vec::new() };
    let mut report = bulk::Report::default();
    let mut summary = Vec::new();
    for some in ids.chunks(PLANS_MAX) {
        request.saga_ids = some.to_vec();
        let answer: Plans = client.ask("/plans", &request).await?;
        for plan in answer.plans {
            let failure = plan.refused.as_ref().map(|refused| {
                Failure::new(Exit::Conflict, output::printable(&format!("{} ({})", refused.message, refused.code)))
            });
            report.add(plan.summary.id.clone(), failure.map_or(Ok(plan), Err));
        }
        for unplanned in answer.unplanned {
            let exit = if unplanned.refused.code == "saga_unknown" { Exit::NotFound } else { Exit::Conflict };
            let message = output::printable(&format!("{} ({})", unplanned.refused.message, unplanned.refused.code));
            report.add(unplanned.saga_id, Err(Failure::new(exit, message)));
        }
        summary.extend(answer.summary);
    }
    let plans = &report.done;
    let printed = match output {
        Output::Table if plans.is_empty() => Ok(()),
        Output::Table => output::print_line(&tables(plans, summed(summary))),
        Output::Json | Output::Yaml => {
            output::print_document(&json!({ "plans": plans, "summary": summed(summary) }), output)
        }
        Output::Jsonl => plans.iter().try_for_each(output::print_json_line),
        Output::Ids => plans.iter().try_for_each(|plan| output::print_line(&output::printable(&plan.summary.id))),
    };
    report.end()?;
    printed
}

/// The totals of several answers as one.
fn summed(totals: Vec<Total>) -> Vec<Total> {
    let mut sums: BTreeMap<_, Total> = BTreeMap::new();
    for total in totals {
        let key = (total.name.clone(), total.version, total.step.clone(), total.op.clone());
        match sums.get_mut(&key) {
            Some(sum) => {
                sum.now += total.now;
                sum.later += total.later;
            }
            None => drop(sums.insert(key, total)),
        }
    }
    sums.into_values().collect()
}

/// One saga with each of its commands; several with a line each, and the summary.
fn tables(plans: &[Told<Plan>], summary: Vec<Total>) -> String {
    let sagas = plans.iter().map(|plan| {
        let left: Vec<_> = plan.left.iter().map(stays).collect();
        vec![
            output::printable(&plan.summary.id),
            output::printable(&format!("{} v{}", plan.summary.name, plan.summary.version)),
            output::printable(&plan.summary.business_key),
            output::printable(&format!("{} -> {}", plan.summary.status, plan.end)),
            plan.commands.iter().filter(|command| command.when == "now").count().to_string(),
            plan.commands.len().to_string(),
            if left.is_empty() { "-".to_owned() } else { left.join(" ") },
        ]
    });
    let head = ["ID", "NAME", "BUSINESS KEY", "STATUS", "NOW", "COMMANDS", "STAYS"];
    let sagas = output::table(&head, sagas);
    let mut sagas = with_changes(sagas, plans.iter().flat_map(|plan| &plan.changes));
    if let [only] = plans
        && !only.changes.is_empty()
    {
        sagas += &format!("\n\nTo do exactly this: --if-head {}", only.head);
    }
    let commands = match plans {
        [only] if only.commands.is_empty() => return sagas,
        [only] => command_table(&only.commands),
        _ if summary.is_empty() => return sagas,
        _ => total_table(summary),
    };
    format!("{sagas}\n\n{commands}")
}

/// A table, and behind it the fields that an edit changes, with both values.
pub(crate) fn with_changes<'a>(table: String, changes: impl Iterator<Item = &'a FieldChange>) -> String {
    match changes_table("FIELD", changes) {
        Some(changes) => format!("{table}\n\n{changes}"),
        None => table,
    }
}

/// The places at which two documents differ, with both values; none where they do not.
pub(crate) fn changes_table<'a>(place: &str, changes: impl Iterator<Item = &'a FieldChange>) -> Option<String> {
    let value = |value: &Option<serde_json::Value>| match value {
        Some(value) => output::printable(&value.to_string()),
        None => "-".to_owned(),
    };
    let rows = changes
        .map(|FieldChange { pointer, before, after }| vec![output::printable(pointer), value(before), value(after)]);
    let rows: Vec<_> = rows.collect();
    (!rows.is_empty()).then(|| output::table(&[place, "BEFORE", "AFTER"], rows))
}

/// A step whose effect stays; its child goes on by itself.
fn stays(left: &Left) -> String {
    let doubt = if left.in_doubt { "?" } else { "" };
    let child = left.child.as_ref().map_or_else(String::new, |child| format!(" (child {child})"));
    output::printable(&format!("{}{doubt}{child}", left.step))
}

fn command_table(commands: &[Command]) -> String {
    let rows = commands.iter().map(|command| {
        let when = match command.retry_at {
            Some(at) => format!("{} at {}", when(&command.when), output::time(at)),
            None => when(&command.when),
        };
        let undone_by = match (&command.undone_by, command.op.as_str()) {
            (Some(undo), _) => output::printable(undo),
            (None, "action") => "!".to_owned(),
            (None, _) => "-".to_owned(),
        };
        vec![
            command.round.to_string(),
            when,
            step(&command.op, &command.step),
            output::printable(&command.command),
            undone_by,
        ]
    });
    output::table(&["ROUND", "SENT", "STEP", "COMMAND", "UNDONE BY"], rows)
}

fn total_table(totals: Vec<Total>) -> String {
    let rows = totals.into_iter().map(|total| {
        vec![
            output::printable(&format!("{} v{}", total.name, total.version)),
            step(&total.op, &total.step),
            output::printable(&total.command),
            total.now.to_string(),
            total.later.to_string(),
        ]
    });
    output::table(&["NAME", "STEP", "COMMAND", "NOW", "LATER"], rows)
}

fn step(op: &str, step: &str) -> String {
    match op {
        "action" => output::printable(step),
        "compensation" => format!("undo {}", output::printable(step)),
        "extension" => format!("extend {}", output::printable(step)),
        other => format!("{} {}", words(other), output::printable(step)),
    }
}

/// The word of a plan for the time of a command.
fn when(word: &str) -> String {
    match word {
        "at_retry" => "at its retry".to_owned(),
        other => words(other),
    }
}
