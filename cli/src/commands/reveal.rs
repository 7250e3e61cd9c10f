//! `sagactl reveal`: what is personal in a saga's documents. The masked saga tells where that is; the revealed one what it is.

use contract::{SagaId, personal::MASKED};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    args::{Output, Reveal},
    client::Client,
    commands::act,
    failure::Failure,
    output,
};

/// A field that is masked elsewhere.
#[derive(Debug, PartialEq, Serialize)]
struct Revealed {
    /// Its place in the saga's document.
    pointer: String,
    value: Value,
}

/// Runs the command.
pub(crate) async fn run(client: &Client, reveal: &Reveal, output: Output) -> Result<(), Failure> {
    let id: SagaId = reveal.one.id.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    let body = json!({ "reason": act::reason(&reveal.reason)? });
    let masked: Value = client.get(&format!("/sagas/{id}"), &[]).await?;
    let whole: Value = client.ask(&format!("/sagas/{id}/reveal"), &body).await?;
    let revealed = revealed(&masked, &whole, &reveal.field);
    match output {
        Output::Table if revealed.is_empty() => output::note("nothing is masked there"),
        Output::Table => {
            let rows = revealed.iter().map(|one| vec![place(&one.pointer, &whole), words(&one.value)]);
            output::print_line(&output::table(&["FIELD", "VALUE"], rows))?;
        }
        Output::Json | Output::Yaml if reveal.field.is_empty() => output::print_document(&whole, output)?,
        Output::Json | Output::Yaml => output::print_document(&revealed, output)?,
        Output::Jsonl => revealed.iter().try_for_each(output::print_json_line)?,
        Output::Ids => output::print_line(&id.to_string())?,
    }
    Ok(())
}

/// The fields that the masked document hides, those of the names that are asked for.
fn revealed(masked: &Value, whole: &Value, names: &[String]) -> Vec<Revealed> {
    let mut places = Vec::new();
    find_masked(masked, String::new(), &mut places);
    let wanted =
        |pointer: &String| names.is_empty() || pointer.split('/').any(|part| names.iter().any(|name| name == part));
    let reveal = |pointer: String| whole.pointer(&pointer).cloned().map(|value| Revealed { pointer, value });
    places.into_iter().filter(wanted).filter_map(reveal).collect()
}

/// The places of all texts in which something is masked.
fn find_masked(document: &Value, place: String, found: &mut Vec<String>) {
    match document {
        Value::String(text) if text.contains(MASKED) => found.push(place),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| find_masked(item, format!("{place}/{index}"), found));
        }
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            find_masked(field, format!("{place}/{name}"), found);
        }),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A place with the name of the step in place of its number.
fn place(pointer: &str, whole: &Value) -> String {
    let step = pointer.strip_prefix("/steps/").and_then(|rest| {
        let (number, rest) = rest.split_once('/')?;
        let name = whole["steps"][number.parse::<usize>().ok()?]["name"].as_str()?;
        Some(format!("{name}: /{rest}"))
    });
    output::printable(&step.unwrap_or_else(|| pointer.to_owned()))
}

fn words(value: &Value) -> String {
    output::printable(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_masked_is_found_wherever_it_is_and_by_its_name() {
        let masked = json!({
            "id": "saga_1", "input": { "travellers": [{ "given_name": MASKED }], "a/b": format!("to {MASKED}") },
            "steps": [{ "name": "hold-rooms", "reply": { "guest_name": MASKED, "rooms": 1 } }],
        });
        let whole = json!({
            "id": "saga_1", "input": { "travellers": [{ "given_name": "Ada" }], "a/b": "to ada@b.example" },
            "steps": [{ "name": "hold-rooms", "reply": { "guest_name": "Ada", "rooms": 1 } }],
        });
        let all = revealed(&masked, &whole, &[]);
        let lines: Vec<_> = all.iter().map(|one| (place(&one.pointer, &whole), words(&one.value))).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.contains(&("/input/travellers/0/given_name".to_owned(), "Ada".to_owned())), "{lines:?}");
        assert!(lines.contains(&("/input/a~1b".to_owned(), "to ada@b.example".to_owned())), "{lines:?}");
        let named = revealed(&masked, &whole, &["guest_name".to_owned(), "email".to_owned()]);
        let places: Vec<_> = named.iter().map(|one| place(&one.pointer, &whole)).collect();
        assert_eq!(places, ["hold-rooms: /reply/guest_name"]);
    }
}
