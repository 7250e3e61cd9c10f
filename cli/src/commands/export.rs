//! `sagactl export` and `exports`: history in the form in which it leaves the journal.

use serde_json::value::RawValue;

use crate::{
    args::{Output, Selection},
    call::Call,
    client::Client,
    commands::bulk,
    failure::Failure,
    output,
    seen::{Told, Week},
    select,
};

/// Prints sagas, a line each, as the server wrote them.
pub(crate) async fn sagas(call: &Call, selection: &Selection) -> Result<(), Failure> {
    let mut report = bulk::Report::default();
    for id in select::sagas(call, selection).await?.ids {
        let line: Result<Box<RawValue>, Failure> = call.client.get(&format!("/sagas/{id}/export"), &[]).await;
        if let Ok(line) = &line {
            output::print_line(line.get())?;
        }
        report.add(id, line);
    }
    report.end()
}

/// Lists the weeks that left the journal.
pub(crate) async fn weeks(client: &Client, output: Output) -> Result<(), Failure> {
    let (weeks, _) = client.list::<Told<Week>>("/exports", &[], usize::MAX).await?;
    match output {
        Output::Table if weeks.is_empty() => output::note("no exports"),
        Output::Table => output::print_line(&table(&weeks))?,
        Output::Json | Output::Yaml => output::print_document(&weeks, output)?,
        Output::Jsonl => weeks.iter().try_for_each(output::print_json_line)?,
        Output::Ids => weeks.iter().try_for_each(|week| output::print_line(&output::printable(&week.week)))?,
    }
    Ok(())
}

fn table(weeks: &[Told<Week>]) -> String {
    let rows = weeks.iter().map(|week| {
        let file = |file: &Option<String>| output::printable(file.as_deref().unwrap_or("-"));
        let (saga_file, audit_file) = (file(&week.saga_file), file(&week.audit_file));
        let state = output::printable(&week.state);
        vec![output::printable(&week.week), state, week.sagas.to_string(), saga_file, audit_file]
    });
    output::table(&["WEEK", "STATE", "SAGAS", "FILE", "AUDIT LOG"], rows)
}
