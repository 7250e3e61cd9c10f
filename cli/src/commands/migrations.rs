//! `sagactl migrations`: which running sagas a version of their definition could take over.

use crate::{
    args::{Migrations, Output},
    client::Client,
    failure::Failure,
    output,
    seen::{Migration, Told},
};

/// Runs the command.
pub(crate) async fn run(client: &Client, asked: &Migrations, output: Output) -> Result<(), Failure> {
    let query = [("name", asked.name.clone()), ("to", asked.version.to_string())];
    let wanted = if asked.limit == 0 { usize::MAX } else { asked.limit as usize };
    let (sagas, more) = client.list::<Told<Migration>>("/migrations", &query, wanted).await?;
    let possible = || sagas.iter().filter(|saga| saga.obstacles.is_empty());
    match output {
        Output::Table if sagas.is_empty() => output::note("no running sagas of other versions"),
        Output::Table => output::print_line(&table(&sagas))?,
        Output::Json | Output::Yaml => output::print_document(&sagas, output)?,
        Output::Jsonl => sagas.iter().try_for_each(output::print_json_line)?,
        Output::Ids => possible().try_for_each(|saga| output::print_line(&output::printable(&saga.summary.id)))?,
    }
    output::note(&format!("{} of {} could be taken over", possible().count(), sagas.len()));
    if more {
        output::note(&format!("there are more than {}; raise --limit, or --limit 0 for all", asked.limit));
    }
    Ok(())
}

fn table(sagas: &[Told<Migration>]) -> String {
    let rows = sagas.iter().map(|saga| {
        let Migration { summary, obstacles } = &**saga;
        vec![
            output::printable(&summary.id),
            output::printable(&format!("{} v{}", summary.name, summary.version)),
            output::printable(&summary.status),
            output::printable(&summary.business_key),
            if obstacles.is_empty() {
                "could be taken over".to_owned()
            } else {
                output::printable(&obstacles.join("; "))
            },
        ]
    });
    output::table(&["ID", "NAME", "STATUS", "BUSINESS KEY", "OBSTACLES"], rows)
}
