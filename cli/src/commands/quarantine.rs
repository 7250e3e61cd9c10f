//! `sagactl quarantine`: the sagas that are left alone, and what ends that.

use contract::SagaId;
use serde_json::json;

use crate::{
    args::{Consent, Output, Pace, Quarantine, Selection},
    call::Call,
    client::Client,
    commands::{act, bulk},
    failure::{Exit, Failure},
    output::{self, printable},
    seen::{Quarantined, Told, View},
    select,
};

/// Runs the command.
pub(crate) async fn run(call: &Call, quarantine: Quarantine) -> Result<(), Failure> {
    match quarantine {
        Quarantine::List { limit } => list(&call.client, limit, call.output).await,
        Quarantine::Show { id } => show(&call.client, id, call.output).await,
        Quarantine::Release { selection, consent, pace } => release(call, &selection, &consent, pace).await,
        Quarantine::Abandon(act) => act::abandon(call, act).await,
    }
}

async fn list(client: &Client, limit: u32, output: Output) -> Result<(), Failure> {
    let wanted = if limit == 0 { usize::MAX } else { limit as usize };
    let (sagas, more) = client.list::<Told<Quarantined>>("/quarantine", &[], wanted).await?;
    match output {
        Output::Table if sagas.is_empty() => output::note("no saga is in quarantine"),
        Output::Table => output::print_line(&table(&sagas))?,
        Output::Json | Output::Yaml => output::print_document(&sagas, output)?,
        Output::Jsonl => sagas.iter().try_for_each(output::print_json_line)?,
        Output::Ids => sagas.iter().try_for_each(|saga| output::print_line(&printable(&saga.saga_id)))?,
    }
    if more {
        output::note(&format!("there are more than {limit}; raise --limit, or --limit 0 for all"));
    }
    Ok(())
}

/// There should be none of them, so the list is short enough to look for one.
async fn show(client: &Client, id: SagaId, output: Output) -> Result<(), Failure> {
    let (sagas, _) = client.list::<Told<Quarantined>>("/quarantine", &[], usize::MAX).await?;
    let found = sagas.into_iter().find(|saga| saga.saga_id == id.to_string());
    let saga = found.ok_or_else(|| Failure::new(Exit::NotFound, format!("{id} is not in quarantine")))?;
    match output {
        Output::Table => {
            let Quarantined { saga_id, code, detail, since } = &*saga;
            let since = output::time(*since);
            let lines = [("Saga", saga_id), ("Since", &since), ("Code", code), ("Why", detail)];
            lines.iter().try_for_each(|(name, value)| {
                output::print_line(&format!("{:<14}{}", format!("{name}:"), printable(value)))
            })
        }
        Output::Json | Output::Yaml => output::print_document(&saga, output),
        Output::Jsonl => output::print_json_line(&saga),
        Output::Ids => output::print_line(&printable(&saga.saga_id)),
    }
}

async fn release(call: &Call, selection: &Selection, consent: &Consent, pace: Pace) -> Result<(), Failure> {
    let reason = act::reason(&consent.reason)?;
    let selected = select::sagas(call, selection).await?;
    select::confirm("release", "sagas", selected.ids.len(), selected.from_stdin, consent.yes)?;
    let report = bulk::each(&selected.ids, pace, &call.stops, async |_, id| {
        let body = json!({ "reason": &reason });
        call.client.post::<Told<View>>(&format!("/quarantine/{id}/release"), &body).await
    })
    .await;
    // What failed is told even when nobody reads what worked.
    let printed = act::print(&report.done, call.output);
    report.end()?;
    printed
}

fn table(sagas: &[Told<Quarantined>]) -> String {
    let rows = sagas.iter().map(|saga| {
        vec![printable(&saga.saga_id), output::time(saga.since), printable(&saga.code), printable(&saga.detail)]
    });
    output::table(&["ID", "SINCE", "CODE", "WHY"], rows)
}
