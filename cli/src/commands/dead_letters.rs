//! `sagactl dead-letters`: messages that nobody could handle, and sending them again.

use contract::SagaId;
use serde::Serialize;

use crate::{
    args::{Consent, Letters, Output, Pace},
    call::Call,
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
    // Those that wait may stand behind many that were sent again.
    let looked_at = if waiting { usize::MAX } else { wanted };
    let (mut letters, mut more) = client.list::<Told<Letter>>("/dead-letters", &query, looked_at).await?;
    if waiting {
        letters.retain(|letter| letter.redriven_at.is_none());
        more = letters.len() > wanted;
        letters.truncate(wanted);
    }
    match output {
        Output::Table if letters.is_empty() => output::note("no dead letters"),
        _ => print(&letters, output)?,
    }
    if more {
        output::note(&format!("there are more than {limit}; raise --limit, or --limit 0 for all"));
    }
    Ok(())
}

/// Sends letters again. Each is sent once: one whose answer was lost is refused when it comes again.
pub(crate) async fn redrive(call: &Call, selection: &Letters, consent: &Consent, pace: Pace) -> Result<(), Failure> {
    let reason = act::reason(&consent.reason)?;
    let selected = select::select::<i64>(&selection.ids)?;
    select::confirm("redrive", "dead letters", selected.ids.len(), selected.from_stdin, consent.yes)?;
    let report = bulk::each(&selected.ids, pace, &call.stops, async |_, id| {
        let path = format!("/dead-letters/{id}/redrive");
        call.client.post::<Told<Letter>>(&path, &Redrive { reason: &reason }).await
    })
    .await;
    // What failed is told even when nobody reads what worked.
    let printed = print(&report.done, call.output);
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
