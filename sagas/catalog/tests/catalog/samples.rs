//! Sample inputs of every saga, and a reply for every command: both are read from files that are named after them.

use std::{fs, path::Path};

use machine::Definition;
use serde_json::{Map, Value};

/// One input for each way through the definition, by its name: the file `tests/samples/<saga>-v<version>.json`.
pub(crate) fn inputs(definition: &Definition) -> Map<String, Value> {
    let file = format!("tests/samples/{}-v{}.json", definition.name(), definition.version());
    match read(&file) {
        Value::Object(inputs) => inputs,
        other => panic!("{file} is no object of inputs by name: {other}"),
    }
}

/// The reply to a command, as the command's golden file has it.
pub(crate) fn reply(command: &str) -> Value {
    read(&format!("../contract/tests/golden/{command}.json"))["reply"].take()
}

fn read(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}
