//! Recorded histories of published versions, replayed for ever.
//!
//! A history holds the fingerprint of a definition's shape, and what its functions put into commands. A saga that is
//! under way could otherwise not be continued after a new release, or would send another command under the same id.
//! A change is therefore a new version in a file of its own. A history is never written anew;
//! `RECORD_HISTORIES=1 cargo nextest run -p catalog` adds the missing ones of a new version.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use contract::{SagaId, saga::StepKind, step::Op};
use machine::{
    CommandToSend, Definition, Entry, State, Step, evolve, resume,
    testing::{Fate, Script, Simulation},
};
use serde_json::{Value, json};

use crate::samples::{Way, ways};

/// The histories that every version must have, by file: two of each way through it. In one everything goes well; in
/// the other every reply before the pivot is lost once, the last step that may refuse does so, and every compensation
/// fails once.
fn runs(definition: &Definition) -> Vec<(String, Rc<Way>, Script)> {
    let (name, version) = (definition.name(), definition.version());
    let both = |way: Way| {
        let way = Rc::new(way);
        let file = |end: &str| format!("{name}-v{version}-{}-{end}.json", way.name.replace(' ', "-"));
        let undone = troubled(definition, &way);
        [(file("completed"), Rc::clone(&way), Script::clean()), (file("undone"), way, undone)]
    };
    ways(definition).into_iter().flat_map(both).collect()
}

fn troubled(definition: &Definition, way: &Way) -> Script {
    let reply = |name: &str| way.reply(name);
    let clean = Simulation::new(definition, way.input.clone(), &reply).run().unwrap();
    let sends = |step: &&Step| step.command(Op::Action).is_some();
    let applies = |step: &&Step| !clean.state.steps.get(step.name()).is_some_and(|step| step.not_applicable);
    let revocable: Vec<_> = definition
        .steps()
        .iter()
        .filter(sends)
        .filter(applies)
        .filter(|step| step.kind() != StepKind::Retriable)
        .collect();
    let (last, before) = revocable.split_last().unwrap();
    let script = before.iter().fold(Script::clean(), |script, step| {
        let script = script.with(step.name(), Op::Action, &[Fate::LoseReply, Fate::Do]);
        script.with(step.name(), Op::Compensation, &[Fate::Fault, Fate::Do])
    });
    script.with(last.name(), Op::Action, &[Fate::Fault, Fate::Refuse])
}

#[test]
fn every_published_version_sends_what_it_sent_when_it_was_published() {
    let catalog = catalog::all().unwrap();
    let mut expected = BTreeSet::new();
    for definition in catalog.iter() {
        for (file, way, script) in runs(definition) {
            let path = folder().join(&file);
            if !path.exists() && std::env::var_os("RECORD_HISTORIES").is_some() {
                let history = record(definition, &way, script);
                fs::create_dir_all(folder()).unwrap();
                fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&history).unwrap())).unwrap();
            }
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
            replay(&file, definition, &serde_json::from_str(&text).unwrap());
            expected.insert(path);
        }
    }
    let found: BTreeSet<_> = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(found, expected, "histories of no version, or versions without a history");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories")
}

/// Each decision's entries, and the commands that it sent.
fn record(definition: &Definition, way: &Way, script: Script) -> Value {
    let reply = |name: &str| way.reply(name);
    let ended = Simulation::new(definition, way.input.clone(), &reply).script(script).run().unwrap();
    let mut sent = ended.sent.iter();
    let mut record = |entries: &Vec<Entry>| {
        let dispatched = entries.iter().filter(|entry| matches!(entry, Entry::CommandDispatched { .. })).count();
        let sent: Vec<_> = sent.by_ref().take(dispatched).map(written).collect();
        json!({ "entries": entries, "sent": sent })
    };
    let records: Vec<_> = ended.journal.iter().map(&mut record).collect();
    json!({ "saga_id": ended.state.saga_id, "status": ended.state.status, "records": records })
}

fn written(command: &CommandToSend) -> Value {
    let CommandToSend { command_id, attempt, name, version, route, expires_at, payload, reply_within: _ } = command;
    let payload: Value = serde_json::from_str(payload.get()).unwrap();
    json!({
        "command_id": command_id, "attempt": attempt, "name": name, "version": version, "route": route,
        "expires_at": expires_at, "payload": payload,
    })
}

/// Folds the journal as a recovery would, and compares what is outstanding after each record.
fn replay(file: &str, definition: &Definition, history: &Value) {
    let saga_id: SagaId = serde_json::from_value(history["saga_id"].clone()).unwrap();
    let mut state = State::new(saga_id);
    let recorded = history["records"][0]["entries"][0]["fingerprint"].as_str().unwrap();
    assert_eq!(
        definition.fingerprint().as_str(),
        recorded,
        "{file}: the shape has changed since this version was published: copy it to a new version and change that"
    );
    for (number, record) in history["records"].as_array().unwrap().iter().enumerate() {
        for stored in record["entries"].as_array().unwrap() {
            let entry: Entry = serde_json::from_value(stored.clone())
                .unwrap_or_else(|error| panic!("{file}, record {number}: {stored} does not read: {error}"));
            assert_eq!(serde_json::to_value(&entry).unwrap(), *stored, "{file}, record {number}: written otherwise");
            evolve(&mut state, &entry);
        }
        let outstanding: Vec<_> = resume(definition, &state).iter().map(written).collect();
        for command in record["sent"].as_array().unwrap() {
            assert!(outstanding.contains(command), "{file}, record {number}: {command:#} is not in {outstanding:#?}");
        }
    }
    assert_eq!(serde_json::to_value(state.status).unwrap(), history["status"], "{file}: another end");
}
