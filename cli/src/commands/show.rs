//! `sagactl show`: one saga, or several, as they stand.

use crate::{
    args::{Output, Selection},
    call::Call,
    commands::bulk,
    failure::Failure,
    output,
    seen::{Told, View},
    select, tree,
};

/// Runs the command.
pub(crate) async fn run(call: &Call, selection: &Selection) -> Result<(), Failure> {
    let output = call.output;
    let selected = select::sagas(call, selection).await?;
    // One saga asked for by name is one document; a selection is a list, however short.
    let single = selected.ids.len() == 1 && !selected.from_stdin && selection.query.is_none();
    let mut report = bulk::Report::default();
    for id in selected.ids {
        let view = call.client.get::<Told<View>>(&format!("/sagas/{id}"), &[]).await;
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

fn print_all(views: &[Told<View>], output: Output) -> Result<(), Failure> {
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

fn print(view: &Told<View>, output: Output) -> Result<(), Failure> {
    match output {
        Output::Table => output::print(&tree::render(view)),
        Output::Json | Output::Yaml => output::print_document(view, output),
        Output::Jsonl => output::print_json_line(view),
        Output::Ids => output::print_line(&output::printable(&view.summary.id)),
    }
}
