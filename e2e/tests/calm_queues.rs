//! An operator deletes queues of the running system, and makes one with other arguments.

use std::time::Duration;

use chrono::Days;
use e2e::{Client, Part, System, order_of, wait};
use kit::clock::Clock;
use messaging::{Broker as _, Topology, rabbitmq::QueueKind};
use serde_json::Value;

const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// How long a queue may be missing: its consumer is told at once.
const DECLARED_WITHIN: Duration = Duration::from_secs(20);

/// Of a domain, of a shard, and the last resort of all.
const DELETED: [&str; 3] = ["commands.flights", "replies.0", "dead-letters"];

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_is_declared_again_and_one_with_other_arguments_is_told_and_used() {
    let mut system = System::start().await.unwrap();
    let client = system.client("ada").await.unwrap();
    let day = kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(20)).unwrap();
    let flight = client.flight("LHR", "MLE", day, "business", 1).await.unwrap();

    for queue in DELETED {
        system.rabbitmqctl(&["delete_queue", queue]).await.unwrap();
    }
    wait::until("the deleted queues", DECLARED_WITHIN, || async {
        let queues = system.queues().await.map_err(|error| format!("{error:#}"))?;
        let missing: Vec<_> = DELETED.into_iter().filter(|queue| !queues.contains_key(*queue)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} are missing")) }
    })
    .await;
    // One for each shard and more.
    for number in 0..6 {
        confirm(&client, &system, &format!("after the deletion {number}"), &order_of(&[&flight], "tok_ok")).await;
    }

    system.kill(Part::Program("payment"));
    system.rabbitmqctl(&["delete_queue", "commands.payment"]).await.unwrap();
    let stranger = system.broker_of(QueueKind::Quorum).await.unwrap();
    stranger.declare(&Topology::new().with_commands("payment")).await.unwrap();
    system.revive("payment").await.unwrap();
    // Of several arguments that differ the broker names the first.
    let log = system.program("payment").log_tail();
    for word in ["queue=commands.payment", "'x-dead-letter-strategy'", "received none", "'at-least-once'"] {
        assert!(log.contains(word), "`{word}` is missing in\n{log}");
    }
    let alarm = ["queue=\"commands.payment\""];
    let told = system.metric("payment", "sojourn_messaging_queues_otherwise_total", &alarm).await.unwrap();
    assert!(told.iter().sum::<u64>() > 0, "no alarm");
    confirm(&client, &system, "over a queue of the other kind", &order_of(&[&flight], "tok_ok")).await;
    assert_eq!(system.panics(), Vec::<String>::new());
}

async fn confirm(client: &Client, system: &System, key: &str, order: &Value) {
    let accepted = client.order_surely(key, order, SETTLED_WITHIN).await;
    let order_id = accepted.body["order_id"].as_str().unwrap_or_else(|| panic!("{key}: {accepted:?}"));
    let settled = client.until_settled(order_id, SETTLED_WITHIN).await;
    assert_eq!(settled["status"], "confirmed", "{key}: {settled}\n{}", system.logs());
}
