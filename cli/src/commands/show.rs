//! `sagactl show`: one saga, or several, as they stand.

use contract::{SagaId, orchestrator_api::SagaView};
use serde::Deserialize as _;
use serde_json::Value;

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
        let view = client.get::<Value>(&format!("/sagas/{id}"), &[]).await;
        if single {
            return print(&view?, output);
        }
        report.add(id, view);
    }
    // What failed is told even when nobody reads what worked.
    let printed = print_all(&report.done, output);
    report.end()?;
    printed
}

fn print_all(views: &[Value], output: Output) -> Result<(), Failure> {
    if matches!(output, Output::Json | Output::Yaml) {
        return output::print_document(views, output);
    }
    for (index, view) in views.iter().enumerate() {
        if index > 0 && output == Output::Table {
            output::print_line("")?;
        }
        print(view, output)?;
    }
    Ok(())
}

fn print(view: &Value, output: Output) -> Result<(), Failure> {
    match output {
        Output::Table => output::print(&text(view)),
        Output::Json | Output::Yaml => output::print_document(view, output),
        Output::Jsonl => output::print_json_line(view),
        Output::Ids => output::print_line(&output::field(view, "id")),
    }
}

/// The saga step by step, or in one line when a newer server tells what this program does not know.
fn text(view: &Value) -> String {
    match SagaView::deserialize(view) {
        Ok(view) => tree::render(&view),
        Err(error) => {
            let line = output::saga_table(std::slice::from_ref(view));
            let why = output::printable(&error.to_string());
            format!("{line}\n\nMore of it is not known to this sagactl ({why}); -o json shows all.\n")
        }
    }
}
