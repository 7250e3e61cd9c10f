//! Recorded histories of published versions, replayed for ever.
//!
//! The fingerprint holds a definition's shape, but not what its functions put into commands. A history does: a saga
//! that is under way would otherwise send another command under the same id after a new release. A history is never
//! written anew; `RECORD_HISTORIES=1 cargo nextest run -p catalog` adds the missing ones of a new version.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use contract::{SagaId, step::Op};
use machine::{
    CommandToSend, Definition, Entry, State, evolve, resume,
    testing::{Fate, Script, Simulation},
};
use serde_json::{Value, json};

use crate::samples::{FLIGHT, STAY, order, reply};

/// The histories that every version must have: file, offers, and what went wrong.
fn runs(definition: &Definition) -> Vec<(String, Value, Script)> {
    let (name, version) = (definition.name(), definition.version());
    let file = |what: &str| format!("{name}-v{version}-{what}.json");
    let fates = |script: Script, step: &str, op, fates: &[Fate]| script.with(&step.parse().unwrap(), op, fates);
    let declined = fates(Script::clean(), "authorize-payment", Op::Action, &[Fate::Refuse]);
    let troubled = fates(Script::clean(), "hold-rooms", Op::Action, &[Fate::LoseReply, Fate::Fault, Fate::Do]);
    let troubled = fates(troubled, "hold-seats", Op::Compensation, &[Fate::Fault, Fate::Do]);
    let troubled = fates(troubled, "confirm-seats", Op::Action, &[Fate::Fault, Fate::Refuse]);
    match name {
        "order" => vec![
            (file("flights-and-rooms-completed"), order(&[FLIGHT, STAY]), Script::clean()),
            (file("rooms-completed"), order(&[STAY]), Script::clean()),
            (file("flights-declined"), order(&[FLIGHT]), declined),
            (file("flights-and-rooms-refused-at-the-pivot"), order(&[FLIGHT, STAY]), troubled),
        ],
        other => panic!("`{other}` has no histories: add the runs that are worth recording"),
    }
}

#[test]
fn every_published_version_sends_what_it_sent_when_it_was_published() {
    let catalog = catalog::all().unwrap();
    let mut expected = BTreeSet::new();
    for definition in catalog.iter() {
        for (file, input, script) in runs(definition) {
            let path = folder().join(&file);
            if !path.exists() && std::env::var_os("RECORD_HISTORIES").is_some() {
                let history = record(definition, input, script);
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
fn record(definition: &Definition, input: Value, script: Script) -> Value {
    let ended = Simulation::new(definition, input, &reply).script(script).run().unwrap();
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
    let CommandToSend { command_id, attempt, name, version, route, deadline, payload } = command;
    let payload: Value = serde_json::from_str(payload.get()).unwrap();
    json!({
        "command_id": command_id, "attempt": attempt, "name": name, "version": version, "route": route,
        "deadline": deadline, "payload": payload,
    })
}

/// Folds the journal as a recovery would, and compares what is outstanding after each record.
fn replay(file: &str, definition: &Definition, history: &Value) {
    let saga_id: SagaId = serde_json::from_value(history["saga_id"].clone()).unwrap();
    let mut state = State::new(saga_id);
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
    assert!(definition.fits(&state), "{file}: the definition has another shape");
    assert_eq!(serde_json::to_value(state.status).unwrap(), history["status"], "{file}: another end");
}
