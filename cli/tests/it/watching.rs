//! `watch` follows a saga to its end, over lost streams.

use contract::orchestrator_api::RecordView;
use contract::saga::SagaStatus;

use crate::{
    door::{Door, record, sse, view},
    run::Sagactl,
};

#[tokio::test]
async fn a_saga_is_followed_to_its_end_over_a_lost_connection() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::Running));
    let first = sse(&[record(1, SagaStatus::Running, 0), record(2, SagaStatus::Running, 1)], false);
    let second = sse(&[record(3, SagaStatus::Running, 3), record(4, SagaStatus::Completed, 6)], true);
    door.inner().streams.insert(id, vec![first, second]);
    let ended = Sagactl::at(&door, &["watch", &id.to_string()]).run().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    insta::assert_snapshot!("watch", ended.stdout);
    assert!(ended.stderr.contains("taking it up again"), "{}", ended.stderr);
    assert_eq!(door.inner().resumed_after, [None, Some("2".to_owned())]);
}

#[tokio::test]
async fn records_can_be_followed_as_json_lines() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::Running));
    let script = sse(&[record(1, SagaStatus::Running, 0), record(2, SagaStatus::Completed, 6)], true);
    door.inner().streams.insert(id, vec![script]);
    let ended = Sagactl::at(&door, &["watch", &id.to_string(), "-o", "jsonl"]).run().await;
    let seqs: Vec<_> = ended.stdout.lines().map(|line| serde_json::from_str::<RecordView>(line).unwrap().seq).collect();
    assert_eq!(seqs, [1, 2]);
}
