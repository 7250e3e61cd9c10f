//! `sagactl plan` and `--dry-run`: the commands that an action would send, in order, without doing it.

use std::collections::BTreeMap;

use contract::{
    Op, SagaId,
    orchestrator_api::{
        LeftEffect, PLANS_MAX, PlanView, PlannedCommand, PlannedTotal, PlannedWhen, Plans, PlansRequest,
    },
    saga::{Action, FieldChange},
};
use serde_json::json;

use crate::{
    args::{self, Output},
    client::Client,
    commands::bulk,
    failure::{Exit, Failure},
    output, select,
};

pub(crate) async fn run(client: &Client, plan: args::Plan, output: Output) -> Result<(), Failure> {
    let (action, selection) = match plan {
        args::Plan::Retry { selection, step } => (Action::Retry { step }, selection),
        args::Plan::Cancel { selection } => (Action::Cancel {}, selection),
        args::Plan::Skip { selection, step, force, reply } => (Action::Skip { step, reply, force }, selection),
        args::Plan::Migrate { selection, to } => (Action::Migrate { version: to }, selection),
        args::Plan::Abandon { selection } => (Action::Abandon {}, selection),
    };
    print(client, action, select::select(&selection.ids)?.ids, output).await
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
            report.add(plan.summary.id, failure.map_or(Ok(plan), Err));
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
        Output::Ids => plans.iter().try_for_each(|plan| output::print_line(&plan.summary.id.to_string())),
    };
    report.end()?;
    printed
}

/// The totals of several answers as one.
fn summed(totals: Vec<PlannedTotal>) -> Vec<PlannedTotal> {
    let mut sums: BTreeMap<_, PlannedTotal> = BTreeMap::new();
    for total in totals {
        let key = (total.name.clone(), total.version, total.step.clone(), total.op);
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
fn tables(plans: &[PlanView], summary: Vec<PlannedTotal>) -> String {
    let sagas = plans.iter().map(|plan| {
        let left: Vec<_> = plan.left.iter().map(stays).collect();
        vec![
            plan.summary.id.to_string(),
            output::printable(&format!("{} v{}", plan.summary.name, plan.summary.version)),
            output::printable(&plan.summary.business_key),
            format!("{} -> {}", plan.summary.status.as_str(), plan.end.as_str()),
            plan.commands.iter().filter(|command| command.when == PlannedWhen::Now).count().to_string(),
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
    let value = |value: &Option<serde_json::Value>| match value {
        Some(value) => output::printable(&value.to_string()),
        None => "-".to_owned(),
    };
    let rows = changes
        .map(|FieldChange { pointer, before, after }| vec![output::printable(pointer), value(before), value(after)]);
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return table;
    }
    format!("{table}\n\n{}", output::table(&["FIELD", "BEFORE", "AFTER"], rows.into_iter()))
}

/// A step whose effect stays; its child goes on by itself.
fn stays(left: &LeftEffect) -> String {
    let doubt = if left.in_doubt { "?" } else { "" };
    let child = left.child.map_or_else(String::new, |child| format!(" (child {child})"));
    format!("{}{doubt}{child}", left.step)
}

fn command_table(commands: &[PlannedCommand]) -> String {
    let rows = commands.iter().map(|command| {
        let when = match command.retry_at {
            Some(at) => format!("{} at {}", command.when.as_str(), output::time(at)),
            None => command.when.as_str().to_owned(),
        };
        let undone_by = match (&command.undone_by, command.op) {
            (Some(undo), _) => output::printable(undo),
            (None, Op::Action) => "!".to_owned(),
            (None, Op::Compensation | Op::Extension) => "-".to_owned(),
        };
        vec![
            command.round.to_string(),
            when,
            step(command.op, &command.step),
            output::printable(&command.command),
            undone_by,
        ]
    });
    output::table(&["ROUND", "SENT", "STEP", "COMMAND", "UNDONE BY"], rows)
}

fn total_table(totals: Vec<PlannedTotal>) -> String {
    let rows = totals.into_iter().map(|total| {
        vec![
            output::printable(&format!("{} v{}", total.name, total.version)),
            step(total.op, &total.step),
            output::printable(&total.command),
            total.now.to_string(),
            total.later.to_string(),
        ]
    });
    output::table(&["NAME", "STEP", "COMMAND", "NOW", "LATER"], rows)
}

fn step(op: Op, step: &contract::StepName) -> String {
    match op {
        Op::Action => step.to_string(),
        Op::Compensation => format!("undo {step}"),
        Op::Extension => format!("extend {step}"),
    }
}
