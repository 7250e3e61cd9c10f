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

#[tokio::test]
async fn the_end_of_a_saga_is_an_exit_status_where_that_is_asked_for() {
    let door = Door::open().await;
    let (good, bad) = (door.add(view(1, SagaStatus::Completed)), door.add(view(2, SagaStatus::Compensated)));
    for id in [good, bad] {
        door.inner().streams.insert(id, vec![sse(&[record(1, SagaStatus::Completed, 6)], true)]);
    }
    let (good, bad) = (good.to_string(), bad.to_string());
    for (arguments, code) in [
        (vec!["watch", &bad], 0),
        (vec!["watch", &bad, "--exit-status"], 1),
        (vec!["watch", &good, "--exit-status"], 0),
        (vec!["wait", &good], 0),
        (vec!["wait", &good, &bad], 5),
    ] {
        let ended = Sagactl::at(&door, &arguments).run().await;
        assert_eq!(ended.code, code, "{arguments:?}: {}", ended.stderr);
        assert!(code == 0 || ended.stderr.contains("the saga is compensated"), "{arguments:?}: {}", ended.stderr);
    }
    assert_eq!(Sagactl::at(&door, &["wait", &good]).run().await.stdout, "");
}
