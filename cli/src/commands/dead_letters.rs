//! `sagactl dead-letters`: messages that nobody could handle, and sending them again.

use contract::SagaId;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    args::{Consent, Letters, Output},
    client::Client,
    commands::{act, bulk},
    failure::Failure,
    output,
    seen::{Letter, Told},
    select,
};

#[derive(Serialize)]
struct Redrive<'a> {
    reason: &'a str,
}

/// Lists letters; with `waiting`, those only that were not sent again.
pub(crate) async fn list(
    client: &Client,
    saga: Option<&str>,
    waiting: bool,
    limit: u32,
    output: Output,
) -> Result<(), Failure> {
    let saga: Option<SagaId> =
        saga.map(str::parse).transpose().map_err(|error| Failure::usage(format!("--saga: {error}")))?;
    let query: Vec<_> = saga.iter().map(|id| ("saga_id", id.to_string())).collect();
    let wanted = if limit == 0 { usize::MAX } else { limit as usize };
    let (mut letters, more) = client.list::<Told<Letter>>("/dead-letters", &query, wanted).await?;
    letters.retain(|letter| !waiting || letter.redriven_at.is_none());
    match output {
        Output::Table if letters.is_empty() => output::note("no dead letters"),
        _ => print(&letters, output)?,
    }
    if more {
        output::note(&format!("there are more than {limit}; raise --limit, or --limit 0 for all"));
    }
    Ok(())
}

pub(crate) async fn redrive(
    client: &Client,
    selection: &Letters,
    consent: &Consent,
    output: Output,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    let reason = act::reason(&consent.reason)?;
    let selected = select::select::<i64>(&selection.ids)?;
    let count = selected.ids.len();
    select::confirm("redrive", "dead letters", count, selected.from_stdin, consent.yes)?;
    let mut report = bulk::Report::default();
    for (index, id) in selected.ids.into_iter().enumerate() {
        if interrupted.is_cancelled() {
            report.stopped_with(count - index);
            break;
        }
        let path = format!("/dead-letters/{id}/redrive");
        report.add(id, client.post::<Told<Letter>>(&path, &Redrive { reason: &reason }).await);
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

fn print(letters: &[Told<Letter>], output: Output) -> Result<(), Failure> {
    match output {
        Output::Table if letters.is_empty() => Ok(()),
        Output::Table => output::print_line(&table(letters)),
        Output::Json | Output::Yaml => output::print_document(letters, output),
        Output::Jsonl => letters.iter().try_for_each(output::print_json_line),
        Output::Ids => letters.iter().try_for_each(|letter| output::print_line(&letter.id.to_string())),
    }
}

fn table(letters: &[Told<Letter>]) -> String {
    let rows = letters.iter().map(|letter| {
        vec![
            letter.id.to_string(),
            output::printable(letter.saga_id.as_deref().unwrap_or("-")),
            output::printable(&letter.queue),
            output::time(letter.received_at),
            letter.redriven_at.map_or_else(|| "no".to_owned(), output::time),
            output::printable(&letter.reason),
        ]
    });
    output::table(&["ID", "SAGA", "QUEUE", "RECEIVED", "REDRIVEN", "REASON"], rows)
}
