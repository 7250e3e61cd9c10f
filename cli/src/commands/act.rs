//! `sagactl retry | cancel | skip | edit | resolve | migrate | abandon | pause | resume | timer`: the repairs. Each is one
//! operator action on one saga or many.

use contract::{
    SagaId,
    orchestrator_api::{ActionRequest, REASON_BYTES_MAX},
    saga::Action,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    args::{Act, Edit, Migrate, Output, Pause, Resolve, Retry, Skip, Timer},
    client::Client,
    commands::{bulk, plan},
    failure::Failure,
    output,
    seen::{Told, View},
    select,
};

/// The shortest reason, in bytes, that can still say something.
const REASON_BYTES_MIN: usize = 3;

pub(crate) async fn retry(
    client: &Client,
    retry: Retry,
    output: Output,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    run(client, Action::Retry { step: retry.step }, &retry.act, output, interrupted).await
}

pub(crate) async fn cancel(
    client: &Client,
    act: Act,
    output: Output,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    run(client, Action::Cancel {}, &act, output, interrupted).await
}

pub(crate) async fn skip(
    client: &Client,
    skip: Skip,
    output: Output,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    let Skip { act, step, reply, force } = skip;
    run(client, Action::Skip { step, reply, force }, &act, output, interrupted).await
}

pub(crate) async fn edit(
    client: &Client,
    edit: Edit,
    output: Output,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    let Edit { act, step, patch } = edit;
    if act.if_head.is_none() && !act.dry_run {
        let message = "an edit takes effect on the saga that was looked at: --dry-run shows the --if-head to give";
        return Err(Failure::usage(format!("{message}; nothing was done")));
    }
    run(client, Action::Edit { step, patch }, &act, output, interrupted).await
}

pub(crate) async fn resolve(
    client: &Client,
    resolve: Resolve,
    output: Output,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    let Resolve { act, step, evidence } = resolve;
    run(client, Action::Resolve { step, evidence }, &act, output, interrupted).await
}

pub(crate) async fn timer(
    client: &Client,
    timer: Timer,
    output: Output,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    let (action, act) = match timer {
        Timer::Fire { act, step } => (Action::FireTimer { step }, act),
        Timer::Reschedule { act, step, at } => (Action::RescheduleTimer { step, at }, act),
    };
    run(client, action, &act, output, interrupted).await
}

pub(crate) async fn migrate(
    client: &Client,
    Migrate { act, to }: Migrate,
    output: Output,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    run(client, Action::Migrate { version: to }, &act, output, interrupted).await
}

pub(crate) async fn abandon(
    client: &Client,
    act: Act,
    output: Output,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    run(client, Action::Abandon {}, &act, output, interrupted).await
}

pub(crate) async fn pause(
    client: &Client,
    pause: Pause,
    output: Output,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    run(client, pause.rules.action(), &pause.act, output, interrupted).await
}

pub(crate) async fn resume(
    client: &Client,
    act: Act,
    output: Output,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    run(client, Action::Resume {}, &act, output, interrupted).await
}

async fn run(
    client: &Client,
    action: Action,
    act: &Act,
    output: Output,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    let reason = reason(&act.consent.reason)?;
    let selected = select::select::<SagaId>(&act.selection.ids)?;
    if act.dry_run {
        return plan::print(client, action, selected.ids, output).await;
    }
    let count = selected.ids.len();
    select::confirm(action.as_str(), "sagas", count, selected.from_stdin, act.consent.yes)?;
    let request = ActionRequest { action, reason, request_id: None, if_head: act.if_head };
    let mut report = bulk::Report::default();
    for (index, id) in selected.ids.into_iter().enumerate() {
        // What has been sent is always waited for: an interruption must not leave it unsaid.
        if interrupted.is_cancelled() {
            report.stopped_with(count - index);
            break;
        }
        let answer = client.post::<Told<View>>(&format!("/sagas/{id}/actions"), &request).await;
        report.add(id, answer);
        report.tell_progress(count);
        if report.login_failed() {
            report.stopped_with(count - index - 1);
            break;
        }
    }
    // What failed is told even when nobody reads what worked.
    let printed = print(&report.done, output);
    report.end()?;
    printed
}

fn print(done: &[Told<View>], output: Output) -> Result<(), Failure> {
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
