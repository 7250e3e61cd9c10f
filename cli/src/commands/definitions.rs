//! `sagactl definitions`: the sagas that the orchestrators can carry out, and what the linter finds in them.

use crate::{
    args::{DefinitionNames, Output},
    client::Client,
    failure::Failure,
    output::{self, printable},
    seen::{Definition, Definitions, Told},
};

/// Runs the command.
pub(crate) async fn run(client: &Client, wanted: &DefinitionNames, output: Output) -> Result<(), Failure> {
    let Definitions { mut items } = client.get("/definitions", &[]).await?;
    items.retain(|definition| wanted.name.as_ref().is_none_or(|name| *name == definition.name));
    match output {
        Output::Table if items.is_empty() => output::note("no definitions"),
        Output::Table => output::print(&text(&items))?,
        Output::Json | Output::Yaml => output::print_document(&items, output)?,
        Output::Jsonl => items.iter().try_for_each(output::print_json_line)?,
        Output::Ids => items.iter().try_for_each(|definition| output::print_line(&title(definition)))?,
    }
    Ok(())
}

/// The table, and beneath it the findings, each on its line.
fn text(items: &[Told<Definition>]) -> String {
    let rows = items.iter().map(|definition| {
        let deadline = definition.deadline_seconds.map_or("none".to_owned(), |seconds| format!("{seconds} s"));
        let findings = definition.findings.len().to_string();
        let fingerprint = printable(&definition.fingerprint);
        let attributes = definition.attributes.join(", ");
        let attributes = if attributes.is_empty() { "-".to_owned() } else { printable(&attributes) };
        vec![title(definition), definition.steps.len().to_string(), deadline, attributes, findings, fingerprint]
    });
    let mut text = output::table(&["DEFINITION", "STEPS", "DEADLINE", "ATTRIBUTES", "FINDINGS", "FINGERPRINT"], rows);
    text.push('\n');
    for definition in items {
        for finding in &definition.findings {
            let (rule, message) = (printable(&finding.rule), printable(&finding.message));
            text.push_str(&format!("{}, {}: {message} ({rule})\n", title(definition), printable(&finding.step)));
        }
    }
    text
}

fn title(definition: &Definition) -> String {
    printable(&format!("{} v{}", definition.name, definition.version))
}
