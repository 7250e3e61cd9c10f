//! `quarantine`: sagas that are left alone are listed, shown, released and given up.

use contract::saga::SagaStatus;
use serde_json::json;

use crate::{
    door::{Door, saga_id, view},
    run::Sagactl,
};

#[tokio::test]
async fn what_is_left_alone_is_shown_with_its_reason_and_can_be_released() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::Running)).to_string();
    let left_alone = json!({
        "saga_id": id, "code": "definition_unknown", "detail": "no program\u{1b}[2J knows trip v9", "since": "2026-12-01T08:00:00Z",
    });
    door.script("GET /quarantine", vec![(200, json!({ "items": [left_alone] }))]);
    let listed = Sagactl::at(&door, &["quarantine", "list"]).run().await;
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    insta::assert_snapshot!("quarantine_listed", listed.stdout);
    let shown = Sagactl::at(&door, &["quarantine", "show", &id]).run().await;
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    insta::assert_snapshot!("quarantine_shown", shown.stdout);
    let other = Sagactl::at(&door, &["quarantine", "show", &saga_id(2).to_string()]).run().await;
    assert_eq!(other.code, 4, "{}", other.stderr);

    door.script(&format!("POST /quarantine/{id}/release"), vec![(200, json!(view(1, SagaStatus::Running)))]);
    let release = ["quarantine", "release", "-", "--reason", "version 9 is deployed", "-o", "ids"];
    let released = Sagactl::at(&door, &release).stdin(&id).run().await;
    assert_eq!((released.code, released.stdout.trim()), (0, id.as_str()), "{}", released.stderr);
    let asked = (format!("POST /quarantine/{id}/release"), r#"{"reason":"version 9 is deployed"}"#.to_owned());
    assert_eq!(door.seen().pop(), Some(asked));

    let abandoned = Sagactl::at(&door, &["quarantine", "abandon", &id, "--reason", "ticket 4711"]).run().await;
    assert_eq!(abandoned.code, 0, "{}", abandoned.stderr);
    let (call, body) = door.seen().pop().unwrap();
    assert!(call == format!("POST /sagas/{id}/actions") && body.contains("abandon"), "{call} {body}");
}
