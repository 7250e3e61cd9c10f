//! `sagactl tree`: a saga with the sagas that it started, one a line, each beneath its parent.

use contract::SagaId;
use serde_json::Value;

use crate::{
    args::{One, Output},
    client::Client,
    failure::Failure,
    output::{self, printable},
    seen::{Told, Tree, words},
};

/// Runs the command.
pub(crate) async fn run(client: &Client, one: &One, output: Output) -> Result<(), Failure> {
    let id: SagaId = one.id.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    let tree: Told<Tree> = client.get(&format!("/sagas/{id}/tree"), &[]).await?;
    match output {
        Output::Table => output::print(&drawn(&tree, 0)),
        Output::Json | Output::Yaml => output::print_document(&tree, output),
        Output::Jsonl => flat(&tree).into_iter().try_for_each(|tree| output::print_json_line(&alone(tree.document()))),
        Output::Ids => flat(&tree).into_iter().try_for_each(|tree| output::print_line(&printable(&tree.saga.id))),
    }
}

/// The levels are counted in words too, so that they are heard as well as seen.
fn drawn(tree: &Tree, level: usize) -> String {
    let saga = &tree.saga;
    let step = saga.parent_step.as_ref().map_or_else(String::new, |step| format!("{step}: "));
    let step = if level == 0 { String::new() } else { format!("level {level}, {step}") };
    let status = words(&saga.status);
    let error = saga.error.as_deref().map_or_else(String::new, |error| format!(", {error}"));
    let line = printable(&format!("{step}{} v{} {} {status}{error}", saga.name, saga.version, saga.id));
    let below = tree.children.iter().map(|child| drawn(child, level + 1));
    format!("{}{line}\n{}", "  ".repeat(level), below.collect::<String>())
}

/// The saga and all below it, each before its children.
fn flat(tree: &Told<Tree>) -> Vec<&Told<Tree>> {
    [tree].into_iter().chain(tree.children.iter().flat_map(flat)).collect()
}

/// A saga's own line.
fn alone(document: &Value) -> Value {
    let mut line = document.clone();
    if let Value::Object(fields) = &mut line {
        fields.remove("children");
    }
    line
}
