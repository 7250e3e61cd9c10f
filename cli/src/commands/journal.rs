//! `sagactl journal`: every committed decision of a saga, or what some of them changed in it.

use contract::SagaId;
use serde_json::Value;

use crate::{
    args::{Between, Journal, Output},
    client::Client,
    commands::plan,
    failure::Failure,
    output,
    seen::{Difference, Record, Told},
};

/// Fields of entries that are documents of their own: too wide for a line, and in `-o json` anyway.
const WIDE_FIELDS: [&str; 3] = ["input", "reply", "fingerprint"];

/// Runs the command.
pub(crate) async fn run(client: &Client, journal: &Journal, output: Output) -> Result<(), Failure> {
    let id: SagaId = journal.id.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    if let Some(between) = journal.diff {
        return difference(client, id, between, output).await;
    }
    let (records, _) = client.list::<Told<Record>>(&format!("/sagas/{id}/journal"), &[], usize::MAX).await?;
    match output {
        Output::Table => output::print_line(&output::table(&["SEQ", "AT", "STATUS", "ENTRY"], rows(&records))),
        Output::Json | Output::Yaml => output::print_document(&records, output),
        Output::Jsonl => records.iter().try_for_each(output::print_json_line),
        Output::Ids => records.iter().try_for_each(|record| output::print_line(&record.seq.to_string())),
    }
}

async fn difference(client: &Client, id: SagaId, between: Between, output: Output) -> Result<(), Failure> {
    let of = [("from", between.from.to_string()), ("to", between.to.to_string())];
    let found: Told<Difference> = client.get(&format!("/sagas/{id}/difference"), &of).await?;
    match output {
        Output::Table => match plan::changes_table("PLACE", found.changes.iter()) {
            Some(table) => output::print_line(&table),
            None => {
                output::note("nothing of the saga differs");
                Ok(())
            }
        },
        Output::Json | Output::Yaml => output::print_document(&found, output),
        Output::Jsonl => output::print_json_line(&found),
        Output::Ids => {
            found.changes.iter().try_for_each(|change| output::print_line(&output::printable(&change.pointer)))
        }
    }
}

fn rows(records: &[Told<Record>]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for record in records {
        for entry in &record.entries {
            rows.push(vec![
                record.seq.to_string(),
                output::exact_time(record.at),
                output::printable(&record.status),
                output::printable(&told(entry)),
            ]);
        }
    }
    rows
}

/// An entry as `name field=value ...`, without knowing the kinds of entries: a journal may be newer than this program.
fn told(entry: &Value) -> String {
    let Some(fields) = entry.as_object() else {
        return entry.to_string();
    };
    let mut text = fields.get("entry").and_then(Value::as_str).unwrap_or("?").to_owned();
    for (name, value) in fields {
        if name == "entry" || WIDE_FIELDS.contains(&name.as_str()) {
            continue;
        }
        match value {
            Value::String(value) if !value.contains(char::is_whitespace) => text.push_str(&format!(" {name}={value}")),
            value => text.push_str(&format!(" {name}={value}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_told_in_one_line_without_its_documents() {
        let entry = json!({"entry": "command_refused", "step": "hold-seats", "op": "action", "message": "no seats", "reply": {"a": 1}});
        let text = told(&entry);
        assert!(text.starts_with("command_refused "), "{text}");
        assert!(
            text.contains("step=hold-seats") && text.contains("message=\"no seats\"") && !text.contains("reply"),
            "{text}"
        );
        assert_eq!(told(&json!(7)), "7");
    }
}
