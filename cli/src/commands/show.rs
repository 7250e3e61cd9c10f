//! `sagactl show`: one saga, or several, as they stand.

use contract::{SagaId, orchestrator_api::SagaView};

use crate::{
    args::{Ids, Output},
    client::Client,
    commands::bulk,
    failure::Failure,
    output, select, tree,
};

/// Runs the command.
pub(crate) async fn run(client: &Client, ids: &Ids, output: Output) -> Result<(), Failure> {
    let selected = select::select::<SagaId>(&ids.ids)?;
    // One saga asked for by name is one document; a selection is a list, however short.
    let single = selected.ids.len() == 1 && !selected.from_stdin;
    let mut report = bulk::Report::default();
    for id in selected.ids {
        let view = client.get::<SagaView>(&format!("/sagas/{id}"), &[]).await;
        if single {
            return print(&view?, output);
        }
        report.add(id, view);
    }
    match output {
        Output::Json => output::print_json(&report.done)?,
        Output::Table | Output::Jsonl | Output::Ids => {
            for (index, view) in report.done.iter().enumerate() {
                if index > 0 && output == Output::Table {
                    output::print_line("")?;
                }
                print(view, output)?;
            }
        }
    }
    report.end()
}

fn print(view: &SagaView, output: Output) -> Result<(), Failure> {
    match output {
        Output::Table => output::print(&tree::render(view)),
        Output::Json => output::print_json(view),
        Output::Jsonl => output::print_json_line(view),
        Output::Ids => output::print_line(&view.summary.id.to_string()),
    }
}
