//! `timeline`, `throughput`, `processes` and `reveal`: what they ask, and what they print in every shape.

use serde_json::{Value, json};

use crate::{
    door::{Door, saga_id},
    run::Sagactl,
};

fn timeline() -> Value {
    let span = |step: &str, spent: &str, from: &str, until: Option<&str>, end: Option<&str>| json!({ "step": step, "op": "action", "spent": spent, "attempt": 1, "from": from, "until": until, "end": end });
    let (at, later) = ("2026-12-01T08:00:00Z", "2026-12-01T08:00:02Z");
    let much_later = "2026-12-01T10:00:00Z";
    json!({
        "began_at": at, "ended_at": "2026-12-01T10:00:02Z", "tide": "low",
        "spans": [
            span("hold-seats", "under_way", at, Some(later), Some("done")),
            span("approval", "signal", later, Some(much_later), Some("done")),
            span("capture-payment", "under_way", much_later, Some("2026-12-01T10:00:02Z"), Some("refused")),
            span("thaw", "hibernation", at, Some(later), Some("melted")),
        ],
    })
}

#[tokio::test]
async fn a_timeline_tells_every_span_in_words_and_folds_idle_time() {
    let door = Door::open().await;
    let id = saga_id(1).to_string();
    door.script(&format!("GET /sagas/{id}/timeline"), vec![(200, timeline())]);
    let table = Sagactl::at(&door, &["timeline", &id]).run().await;
    assert_eq!(table.code, 0, "{}", table.stderr);
    insta::assert_snapshot!("timeline", table.stdout);
    let whole = Sagactl::at(&door, &["timeline", &id, "--to-scale"]).run().await;
    assert!(!whole.stdout.contains('~'), "{}", whole.stdout);
    let document = Sagactl::at(&door, &["timeline", &id, "-o", "json"]).run().await;
    assert_eq!(serde_json::from_str::<Value>(&document.stdout).unwrap(), timeline());
    let lines = Sagactl::at(&door, &["timeline", &id, "-o", "jsonl"]).run().await;
    assert_eq!(lines.stdout.lines().count(), 4, "{}", lines.stdout);
    let wrong = Sagactl::at(&door, &["timeline", "ord_1"]).run().await;
    assert_eq!((wrong.code, wrong.stdout.as_str()), (2, ""));
}

#[tokio::test]
async fn throughput_is_a_line_of_signs_for_each_number() {
    let door = Door::open().await;
    let point = |minute: u32, completed: u64, lasted: Option<u64>| {
        let durations = lasted.map(|ms| json!({ "p50_ms": ms, "p95_ms": ms * 2, "p99_ms": ms * 70 }));
        json!({ "at": format!("2026-12-01T08:{minute:02}:00Z"), "completed": completed, "compensated": 1, "abandoned": 0, "durations": durations })
    };
    let points = [point(0, 0, None), point(1, 1, Some(120)), point(2, 300, Some(900)), point(3, 150, None)];
    let told = json!({ "step_seconds": 60, "points": points, "counted_from": "2026-12-01T08:01:00Z", "tide": "low" });
    door.script("GET /throughput", vec![(200, told.clone())]);
    let table = Sagactl::at(&door, &["throughput"]).run().await;
    assert_eq!(table.code, 0, "{}", table.stderr);
    insta::assert_snapshot!("throughput", table.stdout);
    let document = Sagactl::at(&door, &["throughput", "-o", "json"]).run().await;
    assert_eq!(serde_json::from_str::<Value>(&document.stdout).unwrap(), told);
    let wrong = Sagactl::at(&door, &["throughput", "--minutes", "1441"]).run().await;
    assert_eq!((wrong.code, wrong.stdout.as_str()), (2, ""));
}

#[tokio::test]
async fn processes_are_told_with_their_versions_and_what_is_not_known_as_unknown() {
    let door = Door::open().await;
    let at = "2026-12-01T08:00:00Z";
    let worker = |instance: &str, version: &str, domains: &[&str]| json!({ "instance": instance, "version": version, "started_at": at, "domains": domains, "answered_ms": 3 });
    let way = |route: &str, consumers: u32, unknown: u32| {
        json!({ "route": route, "queue": { "messages": 0, "consumers": consumers }, "under_way": 0, "held_sagas": 0,
            "unknown_consumers": unknown })
    };
    let told = json!({
        "orchestrators": [{ "instance": "ins_1", "version": "0.1.0", "started_at": at, "clock_ahead_ms": -250, "clock_error_ms": 2,
            "lanes": [{ "shard": 1, "answered_ms": 2, "taking_over": false, "orphans": 0 },
                { "shard": 0, "answered_ms": 9, "taking_over": false, "orphans": 2 }] }],
        "silent_shards": [{ "shard": 2, "instance": "ins_0", "since": at }],
        "domains": [way("payment", 2, 0), way("cruises", 1, 1)],
        "workers": [worker("ins_2", "0.1.0", &["payment"]), worker("ins_3", "0.2.0\u{1b}[2J", &["payment", "cruises"])],
        "tide": "low",
    });
    door.script("GET /processes", vec![(200, told.clone())]);
    let table = Sagactl::at(&door, &["processes"]).run().await;
    assert_eq!(table.code, 0, "{}", table.stderr);
    insta::assert_snapshot!("processes", table.stdout);
    let document = Sagactl::at(&door, &["processes", "-o", "json"]).run().await;
    assert_eq!(serde_json::from_str::<Value>(&document.stdout).unwrap(), told);
    let ids = Sagactl::at(&door, &["processes", "-o", "ids"]).run().await;
    assert_eq!(ids.stdout, "ins_1\nins_2\nins_3\n");
    // A server of before tells of no workers.
    let older = json!({ "orchestrators": [], "domains": [{ "route": "payment", "under_way": 0, "held_sagas": 0 }] });
    door.script("GET /processes", vec![(200, older)]);
    let table = Sagactl::at(&door, &["processes"]).run().await;
    assert!(table.code == 0 && table.stdout.contains("Workers\nnone"), "{}", table.stdout);
}

#[tokio::test]
async fn what_is_personal_is_shown_for_a_reason() {
    let door = Door::open().await;
    let id = saga_id(1).to_string();
    let saga = |name: &str, email: &str| {
        json!({ "id": id, "input": { "travellers": [{ "given_name": name }], "email": email },
            "steps": [{ "name": "hold-rooms", "reply": { "guest_name": name } }] })
    };
    door.script(&format!("GET /sagas/{id}"), vec![(200, saga("(masked)", "(masked)"))]);
    door.script(&format!("POST /sagas/{id}/reveal"), vec![(200, saga("Ada", "ada@b.example"))]);
    let reveal = ["reveal", &id, "--reason", "ticket 4711"];
    let table = Sagactl::at(&door, &reveal).run().await;
    assert_eq!(table.code, 0, "{}", table.stderr);
    insta::assert_snapshot!("reveal", table.stdout);
    let some = Sagactl::at(&door, &[&reveal[..], &["--field", "guest_name,born_on"]].concat()).run().await;
    assert_eq!(some.stdout, "FIELD                          VALUE\nhold-rooms: /reply/guest_name  Ada\n");
    let document = Sagactl::at(&door, &[&reveal[..], &["-o", "json"]].concat()).run().await;
    assert_eq!(serde_json::from_str::<Value>(&document.stdout).unwrap(), saga("Ada", "ada@b.example"));
    let fields = Sagactl::at(&door, &[&reveal[..], &["-o", "json", "--field", "email"]].concat()).run().await;
    let fields: Value = serde_json::from_str(&fields.stdout).unwrap();
    assert_eq!(fields, json!([{ "pointer": "/input/email", "value": "ada@b.example" }]));
    for wrong in [vec!["reveal", &id], vec!["reveal", &id, "--reason", ""]] {
        let ended = Sagactl::at(&door, &wrong).run().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{wrong:?}");
    }
    let refused = json!({ "type": "about:blank", "title": "no", "status": 403, "code": "operator_role_missing" });
    door.script(&format!("POST /sagas/{id}/reveal"), vec![(403, refused)]);
    let viewer = Sagactl::at(&door, &reveal).run().await;
    assert_eq!((viewer.code, viewer.stdout.as_str()), (3, ""), "{}", viewer.stderr);
}
