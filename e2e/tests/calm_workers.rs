//! Commands that end their database connections, commands that fail, and a reply queue that takes nothing: each costs
//! itself, and the rest of its domain goes on within seconds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use chrono::{Days, TimeDelta};
use contract::{
    Command, CommandId, Op, SagaId, StepName,
    envelope::{CommandEnvelope, KIND_COMMAND},
    feed::{Notice, NotifyUser},
};
use e2e::{Client, System, order_of, wait};
use kit::clock::Clock;
use messaging::{Broker as _, Message, Outgoing, QueueName, Topology};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor as _};

/// How long good orders may take in bad company: far longer than alone, and far shorter than any clock of a saga.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);

/// How long the queue's limit of deliveries takes to end a command: twenty times three connections and their pauses.
const BURIED_WITHIN: Duration = Duration::from_secs(60);

/// A shard that no orchestrator has: its queue of replies fills up.
const UNHEARD_SHARD: u16 = 99;

/// More than the consumer of a domain holds unacknowledged.
const UNHEARD: usize = 500;

/// Good orders that are placed together with each bad one, so that they share its batches.
const COMPANIONS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_connections_fails_or_cannot_be_answered_keeps_no_other_command_waiting() {
    let mut system = System::start().await.unwrap();
    let day = kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(20)).unwrap();
    let (good, killer, faulty) =
        tokio::try_join!(system.client("good"), system.client("killer"), system.client("faulty")).unwrap();
    let flight = good.flight("LHR", "MLE", day, "business", 1).await.unwrap();
    let order = order_of(&[&flight], "tok_ok");
    misbehave(&system, &killer, &faulty).await;

    let (_, killing) = killer.place("ends its connection", &order).await.unwrap();
    faulty.place("fails", &order).await.unwrap();
    confirm_many(&good, &system, "beside a command that ends its connection", &order).await;
    let killing: SagaId = killing.parse().unwrap();
    until_buried(&system, killing).await;
    assert!(total(&system, "order", "sojourn_worker_given_back_commands_total").await > 0);
    assert!(total(&system, "order", "sojourn_worker_halved_batches_total").await > 0);

    fill_a_reply_queue(&system).await;
    confirm_many(&good, &system, "beside replies that their queue does not take", &order).await;
    wait::until("commands that cannot be answered", SETTLED_WITHIN, || async {
        let queues = system.queues().await.map_err(|error| format!("{error:#}"))?;
        if queues["commands.feed"] == 0 { Ok(()) } else { Err(format!("{queues:?}")) }
    })
    .await;
    assert!(total(&system, "feed", "sojourn_worker_replies_given_up_total").await > 0);
    assert_eq!(system.panics(), Vec::<String>::new());
    let log = system.program("order").log();
    assert!(log.contains("it ends its connections: given back"), "{}", system.logs());
}

/// Makes the orders of one person end the connection that they are written on, and those of another one fail.
async fn misbehave(system: &System, killer: &Client, faulty: &Client) {
    let mut orders = system.database("sojourn_order").await.unwrap();
    let trigger = format!(
        "CREATE FUNCTION misbehave() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF NEW.user_id = '{}' THEN
                 PERFORM pg_terminate_backend(pg_backend_pid());
             ELSIF NEW.user_id = '{}' THEN
                 RAISE EXCEPTION 'as the test wishes';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER misbehave BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION misbehave()",
        uuid_of(killer),
        uuid_of(faulty)
    );
    orders.execute(sqlx::raw_sql(AssertSqlSafe(trigger))).await.unwrap();
}

fn uuid_of(client: &Client) -> uuid::Uuid {
    client.user_id.parse::<contract::UserId>().unwrap().uuid()
}

/// Orders of the same person side by side, each of which is confirmed.
async fn confirm_many(client: &Client, system: &System, case: &str, order: &Value) {
    let orders = (0..COMPANIONS).map(|number| async move {
        let key = format!("{case} {number}");
        let accepted = client.order_surely(&key, order, SETTLED_WITHIN).await;
        let order_id = accepted.body["order_id"].as_str().unwrap_or_else(|| panic!("{key}: {accepted:?}")).to_owned();
        (key, client.until_settled(&order_id, SETTLED_WITHIN).await)
    });
    for (key, settled) in futures::future::join_all(orders).await {
        assert_eq!(settled["status"], "confirmed", "{key}: {settled}\n{}", system.logs());
    }
}

/// Waits until the command is a dead letter, and shown on its saga.
async fn until_buried(system: &System, saga: SagaId) {
    let orchestrator = system.internal("orchestrator-1");
    wait::until("the dead letter of the command", BURIED_WITHIN, || async {
        let shown = orchestrator.get(&format!("/api/sagas/{saga}")).await.map_err(|error| format!("{error:#}"))?;
        let letters = shown.body["dead_letters"].to_string();
        if letters.contains("delivery_limit") { Ok(()) } else { Err(shown.body.to_string()) }
    })
    .await;
}

async fn total(system: &System, program: &str, counter: &str) -> u64 {
    system.metric(program, counter, &[]).await.unwrap().into_iter().sum()
}

/// Sends commands whose replies go to a queue that holds one message and takes no second.
async fn fill_a_reply_queue(system: &System) {
    let stranger = system.broker().await.unwrap();
    stranger.declare(&Topology::new().with_replies(UNHEARD_SHARD)).await.unwrap();
    let queue = QueueName::replies(UNHEARD_SHARD);
    let full = r#"{"max-length":1,"overflow":"reject-publish"}"#;
    system.rabbitmqctl(&["set_policy", "full", &format!("^{queue}$"), full, "--apply-to", "queues"]).await.unwrap();
    let commands = (0..UNHEARD).map(|_| {
        let command =
            NotifyUser { user_id: kit::ids::user_id(), order_id: kit::ids::order_id(), notice: Notice::OrderConfirmed };
        let message_id = kit::ids::message_id();
        let envelope = CommandEnvelope {
            message_id,
            command_id: CommandId {
                saga: SagaId::from_uuid(kit::ids::uuid_v7()),
                step: StepName::new("notify-user").unwrap(),
                op: Op::Action,
                generation: 1,
            },
            attempt: 1,
            name: NotifyUser::NAME.to_owned(),
            version: NotifyUser::VERSION,
            route: NotifyUser::ROUTE,
            reply_to: queue.as_str().to_owned(),
            expires_at: Some(kit::clock::SystemClock.now() + TimeDelta::minutes(5)),
            traceparent: None,
            parcels: false,
            payload: serde_json::value::to_raw_value(&command).unwrap(),
        };
        let body = serde_json::to_vec(&envelope).unwrap();
        Outgoing::command("feed", Message::new(message_id.to_string(), KIND_COMMAND, body))
    });
    let results = stranger.publish(commands.collect()).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    stranger.close().await;
}
