//! `sagactl retry | cancel | skip | edit | resolve | migrate | abandon | pause | resume | timer`: the repairs. Each is one
//! operator action on one saga or many.

use contract::{
    orchestrator_api::{ActionRequest, REASON_BYTES_MAX},
    saga::Action,
};
use serde_json::Value;

use crate::{
    args::{Act, Edit, Migrate, Output, Pause, Resolve, Retry, Skip, Timer},
    call::Call,
    commands::{bulk, plan, watch},
    failure::Failure,
    output,
    seen::{Told, View},
    select,
};

/// The shortest reason, in bytes, that can still say something.
const REASON_BYTES_MIN: usize = 3;

pub(crate) async fn retry(call: &Call, retry: Retry) -> Result<(), Failure> {
    run(call, Action::Retry { step: retry.step }, &retry.act).await
}

pub(crate) async fn cancel(call: &Call, act: Act) -> Result<(), Failure> {
    run(call, Action::Cancel {}, &act).await
}

pub(crate) async fn skip(call: &Call, skip: Skip) -> Result<(), Failure> {
    let Skip { act, step, reply, force } = skip;
    run(call, Action::Skip { step, reply, force }, &act).await
}

pub(crate) async fn edit(call: &Call, edit: Edit) -> Result<(), Failure> {
    let Edit { act, step, patch } = edit;
    if act.if_head.is_none() && !act.dry_run {
        let message = "an edit takes effect on the saga that was looked at: --dry-run shows the --if-head to give";
        return Err(Failure::usage(format!("{message}; nothing was done")));
    }
    run(call, Action::Edit { step, patch }, &act).await
}

pub(crate) async fn resolve(call: &Call, resolve: Resolve) -> Result<(), Failure> {
    let Resolve { act, step, evidence } = resolve;
    run(call, Action::Resolve { step, evidence }, &act).await
}

pub(crate) async fn timer(call: &Call, timer: Timer) -> Result<(), Failure> {
    let (action, act) = match timer {
        Timer::Fire { act, step } => (Action::FireTimer { step }, act),
        Timer::Reschedule { act, step, at } => (Action::RescheduleTimer { step, at }, act),
    };
    run(call, action, &act).await
}

pub(crate) async fn migrate(call: &Call, Migrate { act, to }: Migrate) -> Result<(), Failure> {
    run(call, Action::Migrate { version: to }, &act).await
}

pub(crate) async fn abandon(call: &Call, act: Act) -> Result<(), Failure> {
    run(call, Action::Abandon {}, &act).await
}

pub(crate) async fn pause(call: &Call, pause: Pause) -> Result<(), Failure> {
    run(call, pause.rules.action(), &pause.act).await
}

pub(crate) async fn resume(call: &Call, act: Act) -> Result<(), Failure> {
    run(call, Action::Resume {}, &act).await
}

async fn run(call: &Call, action: Action, act: &Act) -> Result<(), Failure> {
    let reason = reason(&act.consent.reason)?;
    let selected = select::sagas(call, &act.selection).await?;
    if act.dry_run {
        return plan::print(&call.client, action, selected.ids, call.output).await;
    }
    let count = selected.ids.len();
    if count > 1 && act.request_id.is_some() {
        return Err(Failure::usage("--request-id names the request for one saga; nothing was done"));
    }
    select::confirm(action.as_str(), "sagas", count, selected.from_stdin, act.consent.yes)?;
    let mut report = bulk::each(&selected.ids, act.pace, &call.stops, async |place, id| {
        let request_id = act.request_id.unwrap_or_else(|| call.request_at(place));
        let (action, reason) = (action.clone(), reason.clone());
        let request = ActionRequest { action, reason, request_id: Some(request_id), if_head: act.if_head };
        call.client.post_named::<Told<View>>(&format!("/sagas/{id}/actions"), &request, request_id).await
    })
    .await;
    let waited = if act.wait { watch::until_ended(call, &mut report.done).await } else { Ok(()) };
    // What failed is told even when nobody reads what worked.
    let printed = print(&report.done, call.output);
    report.end()?;
    waited.and(printed)
}

/// Prints the sagas that took an act.
pub(crate) fn print(done: &[Told<View>], output: Output) -> Result<(), Failure> {
    match output {
        Output::Table if done.is_empty() => Ok(()),
        Output::Table => {
            let sagas: Vec<Value> = done.iter().map(|view| view.document().clone()).collect();
            let sagas = output::saga_table(&sagas);
            // The difference that an edit made is its answer.
            let changes = done.iter().flat_map(|view| view.steps.iter().flat_map(|step| &step.edited));
            output::print_line(&plan::with_changes(sagas, changes))
        }
        Output::Json | Output::Yaml => output::print_document(done, output),
        Output::Jsonl => done.iter().try_for_each(output::print_json_line),
        Output::Ids => done.iter().try_for_each(|view| output::print_line(&output::printable(&view.summary.id))),
    }
}

/// The reason within its limits, told here rather than once for every saga.
pub(crate) fn reason(text: &str) -> Result<String, Failure> {
    let text = text.trim();
    if (REASON_BYTES_MIN..=REASON_BYTES_MAX).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(Failure::usage(format!(
            "--reason must have {REASON_BYTES_MIN} to {REASON_BYTES_MAX} bytes; nothing was done"
        )))
    }
}
