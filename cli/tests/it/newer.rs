//! Reading is open: words, fields and kinds that only a newer server knows pass through, as words for people and untouched for
//! programs.

use contract::saga::SagaStatus;
use serde_json::{Value, json};

use crate::{
    door::{Door, JOB, saga_id, view},
    run::Sagactl,
};

/// A saga with a status, a step, a kind, a work and fields that are not known here.
fn saga() -> Value {
    let mut newer = serde_json::to_value(view(1, SagaStatus::Running)).unwrap();
    newer["status"] = json!("hibernating");
    newer["steps"][0]["kind"] = json!("floating");
    newer["steps"][0]["status"] = json!("at_sea");
    newer["steps"][0]["work"] = json!("cruise");
    newer["steps"][0]["route"] = json!("cruises");
    newer["pause"] = json!({ "since": "2026-12-01T08:00:00Z", "clock": "slow", "holds": "share", "quiescent": true });
    newer["tide"] = json!("low");
    newer
}

fn record() -> Value {
    json!({
        "seq": 1, "at": "2026-12-01T08:00:01Z", "status": "hibernating", "tide": "low",
        "entries": [{ "entry": "cabin_warmed", "cabin": 7 }],
        "steps": [{ "name": "hold-cabin", "kind": "floating", "work": "cruise", "after": [], "status": "at_sea", "attempts": 1 }],
    })
}

fn explanation() -> Value {
    json!({
        "saga_id": saga_id(1), "status": "hibernating", "head": 4, "sentence": "It sleeps.", "tide": "low",
        "reasons": [{ "reason": "winter" }],
        "steps": [{ "name": "hold-cabin", "op": "warming", "route": "cruises", "command": "c", "attempts": 2, "command_is": "frozen" }],
        "domains": [{ "route": "cruises", "flow": { "window": 1, "under_way": 0, "held_sagas": 0,
            "circuit": { "cause": "ice_drift", "since": "2026-12-01T08:00:00Z", "next_probe_at": "2026-12-01T08:01:00Z" } } }],
        "possible": [{ "act": "wake_up", "steps": ["hold-cabin"], "gently": true }],
    })
}

fn plans() -> Value {
    let mut plan = saga();
    plan["end"] = json!("thawed");
    plan["commands"] = json!([{ "round": 0, "when": "in_spring", "step": "hold-cabin", "op": "warming", "command": "c", "route": "cruises" }]);
    json!({ "plans": [plan], "unplanned": [], "summary": [], "tide": "low" })
}

fn job() -> Value {
    json!({
        "id": JOB, "state": "frozen", "action": "wake_up", "gently": true, "actor": "usr_1", "role": "captain", "reason": "r",
        "pace": 10, "sagas": 2, "done": 1, "refused": 0, "vanished": 0, "created_at": "2026-12-01T08:00:00Z",
        "changed_at": "2026-12-01T08:00:00Z", "refusals": [], "filter": { "tide": "low" },
    })
}

fn page(item: Value) -> Value {
    json!({ "items": [item] })
}

#[tokio::test]
async fn what_a_newer_server_adds_passes_through_every_reading_verb() {
    let door = Door::open().await;
    let id = saga_id(1).to_string();
    let at = "2026-12-01T08:00:00Z";
    let letter = json!({ "id": 7, "op": "warming", "queue": "commands.cruises", "reason": "ice", "body": "", "received_at": at, "tide": "low" });
    let mut family = saga();
    family["children"] = json!([saga()]);
    let moving = json!({ "scope": "cruises", "actor": "usr_1", "role": "captain", "reason": "ice", "since": at, "clock": "slow",
        "under_way": 0, "held_sagas": 0, "quiescent": true, "tide": "low" });
    let mut obstructed = saga();
    obstructed["obstacles"] = json!(["ice"]);
    let item = json!({ "place": 0, "saga_id": id, "outcome": "thawed", "tide": "low" });
    let left_alone = json!({ "saga_id": id, "code": "saga_frozen", "detail": "ice", "since": at, "tide": "low" });
    let week = json!({ "week": "20251117", "state": "frozen", "sagas": 1, "changed_at": at, "tide": "low" });
    let definition = json!({ "name": "cruise", "version": 1, "fingerprint": "f", "tide": "low", "findings": [],
        "steps": [{ "name": "hold-cabin", "kind": "floating", "work": "cruise", "after": [] }] });
    for (call, document, verb, words) in [
        ("GET /sagas", page(saga()), "list", vec!["hibernating"]),
        ("GET /sagas/ID", saga(), "show ID", vec!["hibernating", "(floating): at sea", "clock slow, holds share"]),
        ("GET /sagas/ID", saga(), "timers ID", vec!["deadline"]),
        ("GET /sagas/ID/tree", family.clone(), "tree ID", vec!["level 1", "hibernating"]),
        (
            "GET /sagas/ID/explanation",
            explanation(),
            "explain ID",
            vec!["warming", "frozen", "ice drift", "wake up: hold-cabin, gently true"],
        ),
        ("GET /sagas/ID/journal", page(record()), "journal ID", vec!["hibernating", "cabin_warmed cabin=7"]),
        ("POST /plans", plans(), "plan cancel ID", vec!["hibernating -> thawed", "in spring", "warming hold-cabin"]),
        ("GET /migrations", page(obstructed), "migrations cruise 2", vec!["hibernating", "ice"]),
        ("GET /dead-letters", page(letter), "dead-letters list", vec!["commands.cruises"]),
        ("GET /definitions", page(definition), "definitions", vec!["cruise v1"]),
        ("GET /pauses", page(moving), "pauses list", vec!["cruises", "slow"]),
        ("GET /jobs", page(job()), "jobs list", vec!["wake_up", "frozen"]),
        ("GET /jobs/JOB", job(), "jobs show JOB", vec!["wake_up", "frozen"]),
        ("GET /jobs/JOB/items", page(item), "jobs items JOB", vec!["thawed"]),
        ("GET /quarantine", page(left_alone.clone()), "quarantine list", vec!["saga_frozen", "ice"]),
        ("GET /exports", page(week), "exports", vec!["frozen"]),
    ] {
        let named = |text: &str| text.replace("JOB", JOB).replace("ID", &id);
        door.script(&named(call), vec![(200, document.clone())]);
        let arguments = named(verb);
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let told = Sagactl::at(&door, &arguments).run().await;
        assert_eq!(told.code, 0, "{verb}: {}", told.stderr);
        assert!(words.iter().all(|word| told.stdout.contains(word)), "{verb}: {words:?} in {}", told.stdout);
        let whole = Sagactl::at(&door, &[&arguments[..], &["-o", "json"]].concat()).run().await;
        let whole: Value = serde_json::from_str(&whole.stdout).unwrap();
        match verb {
            // This list is made here, of the times that are known.
            "timers ID" => {}
            "plan cancel ID" => assert_eq!(whole["plans"], document["plans"], "{verb}"),
            _ if document["items"].is_array() => assert_eq!(whole, document["items"], "{verb}"),
            _ => assert_eq!(whole, document, "{verb}"),
        }
    }
}

#[tokio::test]
async fn what_a_newer_server_streams_and_answers_to_acts_passes_through() {
    let door = Door::open().await;
    let id = saga_id(1).to_string();
    let events =
        format!("id: 1\nevent: record\ndata: {}\n\nevent: thaw\ndata: 1\n\nevent: end\ndata: {{}}\n\n", record());
    door.script(&format!("GET /sagas/{id}/events"), vec![(200, json!(events))]);
    let watched = Sagactl::at(&door, &["watch", &id]).run().await;
    let told = watched.stdout.contains("hold-cabin (floating): at sea") && watched.stdout.contains("saga: hibernating");
    assert!(watched.code == 0 && told, "{}{}", watched.stdout, watched.stderr);
    let lines = Sagactl::at(&door, &["watch", &id, "-o", "jsonl"]).run().await;
    assert_eq!(serde_json::from_str::<Value>(&lines.stdout).unwrap(), record());

    door.script(&format!("GET /jobs/{JOB}/events"), vec![(200, json!(format!("event: end\ndata: {}\n\n", job())))]);
    let watched = Sagactl::at(&door, &["jobs", "watch", JOB, "-o", "jsonl"]).run().await;
    assert_eq!(serde_json::from_str::<Value>(&watched.stdout).unwrap(), job(), "{}", watched.stderr);

    door.script(&format!("POST /sagas/{id}/actions"), vec![(200, saga())]);
    let acted = Sagactl::at(&door, &["cancel", &id, "--reason", "because"]).run().await;
    assert!(acted.code == 0 && acted.stdout.contains("hibernating"), "{}{}", acted.stdout, acted.stderr);
    door.script(&format!("POST /sagas/{id}/signals/thaw"), vec![(200, json!({ "effect": "melted_slowly" }))]);
    let told = Sagactl::at(&door, &["signal", &id, "thaw", "--payload", "{}"]).run().await;
    assert_eq!((told.code, told.stdout.trim()), (0, "melted slowly"), "{}", told.stderr);
}
