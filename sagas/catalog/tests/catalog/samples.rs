//! Sample inputs of every saga, and a reply for every command: all are read from files that are named after them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use contract::Op;
use machine::{Definition, Work};
use serde_json::{Map, Value};

/// One way through a definition: its input, and the replies that lead along it.
pub(crate) struct Way {
    pub(crate) name: String,
    pub(crate) input: Value,
    replies: BTreeMap<String, Value>,
}

impl Way {
    /// The reply to a command, or the payload of a signal.
    pub(crate) fn reply(&self, name: &str) -> Value {
        self.replies.get(name).cloned().unwrap_or_else(|| panic!("`{name}` is no command of this saga"))
    }
}

/// The ways through the definition, by the file `tests/samples/<saga>-v<version>.json`, which has an input for each.
pub(crate) fn ways(definition: &Definition) -> Vec<Way> {
    let ways = inputs(definition).into_iter();
    ways.map(|(name, input)| Way { replies: replies(definition, &name), name, input }).collect()
}

/// The input for each way.
pub(crate) fn inputs(definition: &Definition) -> Map<String, Value> {
    let file = format!("tests/samples/{}-v{}.json", definition.name(), definition.version());
    match read(&file) {
        Value::Object(inputs) => inputs,
        other => panic!("{file} is no object of inputs by name: {other}"),
    }
}

/// The replies on the way of that name, by command and signal: each as its golden file has it.
fn replies(definition: &Definition, way: &str) -> BTreeMap<String, Value> {
    let mut replies = BTreeMap::new();
    for step in definition.steps() {
        let commands = [Op::Action, Op::Compensation, Op::Extension].map(|op| step.command(op));
        for command in commands.into_iter().flatten() {
            let elder = command.version == 1;
            let file = if elder { command.name.to_owned() } else { format!("{}.v{}", command.name, command.version) };
            let acting = format!("{file}.requires_action");
            // Such a way is one on which the bank asks the client to act.
            let reply = if way.ends_with("with an act of the client") && path(&golden(&acting)).exists() {
                read(&golden(&acting))
            } else {
                read(&golden(&file))["reply"].take()
            };
            let reply = if step.holds() { held(reply) } else { reply };
            replies.insert(command.name.to_owned(), reply);
        }
        match step.work() {
            Work::Signal(signal) => {
                replies.insert(signal.name.to_string(), read(&golden(&format!("signal.{}", signal.name))));
            }
            // Children of the agency's sagas have no result.
            Work::Child(_) => drop(replies.insert("child".to_owned(), Value::Null)),
            Work::Command(_) | Work::Timer => {}
        }
    }
    replies
}

/// The same reply, about something that is held longer than any run takes.
fn held(mut reply: Value) -> Value {
    if let Some(until) = reply.get_mut("expires_at") {
        *until = Value::from("2027-12-31T00:00:00Z");
    }
    reply
}

fn golden(name: &str) -> String {
    format!("../contract/tests/golden/{name}.json")
}

fn read(file: &str) -> Value {
    let text = fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}
