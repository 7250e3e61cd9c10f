//! The faults that only a real broker has: it is not there, is killed, comes back, loses its queues, or holds
//! messages of strangers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use lapin::{BasicProperties, Connection, ConnectionProperties, options::BasicPublishOptions};
use messaging::{
    Broker, BrokerError, Message, Namespace, Outgoing, PUBLISH_TIMEOUT, PublishError, QueueName, Subscription,
    Topology,
    rabbitmq::{FirstConnect, RabbitBroker, RabbitOptions},
};
use private_servers::{RabbitMq, RabbitMqOptions, testing};

/// A broker needs some ten seconds to start on two busy cores.
const DEADLINE: Duration = Duration::from_secs(180);

/// How much later than its time limit a call may end on a machine with other things to do.
const BUSY_MACHINE: Duration = Duration::from_secs(30);

/// Found with RabbitMQ 3.10.8: killed within some 50 ms of having created a quorum queue, it comes back with
/// the queue known but its log empty (confirmed messages gone, term 0, no leader), and the queue never
/// answers again. It is not so a few seconds later. So no broker is killed before its queues are this old.
const QUEUE_IS_SETTLED_AFTER: Duration = Duration::from_secs(3);

/// Found with RabbitMQ 3.10.8: a queue that is declared again before its consumers' channels have handled the
/// deletion takes those consumers over without telling them, and the channels then forget the new queue
/// (`rabbit_channel` drops the state that it has just made), so that they never deliver from it. A channel handles
/// the deletion within milliseconds. So no queue is declared again sooner than this.
const QUEUE_IS_FORGOTTEN_AFTER: Duration = Duration::from_secs(3);

/// Between two looks at a level.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Shows the log of a failed test.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "messaging=debug".into());
    let _already_set = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
}

async fn within<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    within(what, looking).await;
}

fn queue() -> QueueName {
    QueueName::commands("flights")
}

fn topology() -> Topology {
    Topology::new().with_commands("flights").with_orchestrator("one")
}

fn command(number: usize) -> Outgoing {
    Outgoing::command("flights", Message::new(number.to_string(), "flights.hold", "{}"))
}

/// A port without a listener: it was free a moment ago, and no outgoing connection is ever given it.
fn free_port() -> u16 {
    testing::free_ports(1).unwrap().remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_broker_is_named_with_how_to_get_it_and_without_its_password() {
    let address = format!("amqp://sojourn:s3cret@127.0.0.1:{}/%2f", free_port());
    let options = RabbitOptions::new(&address, "test").unwrap();
    let error = within("the error", RabbitBroker::connect(options)).await.unwrap_err();
    assert!(matches!(error, BrokerError::Connect { .. }), "{error:?}");
    let message = error.to_string();
    let host = address.split('@').nth(1).unwrap().trim_end_matches("/%2f");
    for expected in [host, "cargo xtask run", "AMQP_URL"] {
        assert!(message.contains(expected), "`{expected}` is missing in: {message}");
    }
    assert!(!format!("{error:?} {message}").contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_are_told_apart_from_a_missing_broker() {
    let address = testing::amqp_url().replace("guest:guest", "guest:wr0ng");
    let error =
        within("the error", RabbitBroker::connect(RabbitOptions::new(&address, "test").unwrap())).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("ACCESS_REFUSED") || source.contains("ACCESS-REFUSED"), "{source}");
    assert!(!format!("{error} {error:?}").contains("wr0ng"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_starts_before_its_broker_waits_for_it() {
    let port = free_port();
    let address = format!("amqp://guest:guest@127.0.0.1:{port}/%2f");
    let options = RabbitOptions::new(&address, "early").unwrap().with_first_connect(FirstConnect::RetryForever);
    let connecting = tokio::spawn(RabbitBroker::connect(options));
    let mut server =
        RabbitMq::start(RabbitMqOptions { port: Some(port), ..RabbitMqOptions::for_tests() }).await.unwrap();
    let broker = within("the connection", connecting).await.unwrap().unwrap();
    broker.declare(&topology()).await.unwrap();
    assert_eq!(broker.publish(vec![command(0)]).await, [Ok(())]);
    broker.close().await;
    server.stop().await;
}

/// Publishes numbers until told to stop; keeps those that were confirmed.
async fn publish_until(stop: &AtomicBool, broker: &RabbitBroker, confirmed: &Mutex<BTreeSet<usize>>) {
    let mut connected = broker.connected();
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let numbers = next..next + 50;
        next = numbers.end;
        let answers = broker.publish(numbers.clone().map(command).collect()).await;
        let mut failed = false;
        for (number, answer) in numbers.zip(answers) {
            match answer {
                Ok(()) => drop(confirmed.lock().unwrap().insert(number)),
                Err(PublishError::Unavailable { .. }) => failed = true,
                Err(other) => panic!("{number}: {other}"),
            }
        }
        if failed {
            within("the broker to be back", connected.wait_for(|connected| *connected)).await.unwrap();
        }
    }
}

/// Takes and acknowledges until told to stop; keeps what came.
async fn consume_until(stop: &AtomicBool, subscription: &mut Subscription, seen: &Mutex<BTreeSet<usize>>) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(batch) = tokio::time::timeout(LOOK_AGAIN, subscription.next_batch(100)).await else { continue };
        let batch = batch.expect("the subscription survives");
        seen.lock().unwrap().extend(batch.iter().map(|delivery| delivery.message.message_id.parse::<usize>().unwrap()));
        subscription.ack(&batch).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_confirmed_message_arrives_though_the_broker_is_killed_and_restarted() {
    log();
    let mut server = RabbitMq::start(RabbitMqOptions::for_tests()).await.unwrap();
    let broker = RabbitBroker::connect(RabbitOptions::new(&server.url(), "survivor").unwrap()).await.unwrap();
    let broker = Arc::new(broker);
    broker.declare(&topology()).await.unwrap();
    let mut subscription = broker.subscribe(&queue(), 200).await.unwrap();
    let mut own_messages = broker.subscribe(&QueueName::orchestrator("one"), 10).await.unwrap();

    let (stop_publishing, stop_consuming) = (AtomicBool::new(false), AtomicBool::new(false));
    let (confirmed, seen) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeSet::new()));
    let count = |numbers: &Mutex<BTreeSet<usize>>| numbers.lock().unwrap().len();
    let mut connected = broker.connected();
    let script = async {
        tokio::time::sleep(QUEUE_IS_SETTLED_AFTER).await;
        for round in 1..=2 {
            let before = count(&seen);
            until("messages to flow", async || count(&seen) > before + 1_000).await;
            server.kill();
            within("the loss to be seen", connected.wait_for(|connected| !connected)).await.unwrap();
            assert!(matches!(broker.publish(vec![command(0)]).await[..], [Err(PublishError::Unavailable { .. })]));
            server.restart().await.unwrap();
            within("the connection", connected.wait_for(|connected| *connected)).await.unwrap();
            let before = count(&seen);
            until(&format!("messages to flow again after round {round}"), async || count(&seen) > before + 1_000).await;
        }
        stop_publishing.store(true, Ordering::Relaxed);
        until("every confirmed message", async || confirmed.lock().unwrap().is_subset(&seen.lock().unwrap())).await;
        stop_consuming.store(true, Ordering::Relaxed);
    };
    tokio::join!(
        script,
        publish_until(&stop_publishing, &broker, &confirmed),
        consume_until(&stop_consuming, &mut subscription, &seen),
    );
    println!("{} confirmed, {} seen", count(&confirmed), count(&seen));

    // The exclusive queue went with the old connection; it is there again, and so is its subscription.
    let message = Outgoing::reply(QueueName::orchestrator("one").as_str(), Message::new("own", "committed", "{}"));
    assert_eq!(broker.publish(vec![message]).await, [Ok(())]);
    let batch = within("the message", own_messages.next_batch(10)).await.unwrap();
    assert_eq!(batch[0].message.message_id, "own");
    broker.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledgements_from_before_a_restart_touch_nothing_after_it() {
    log();
    let mut server = RabbitMq::start(RabbitMqOptions::for_tests()).await.unwrap();
    let broker = RabbitBroker::connect(RabbitOptions::new(&server.url(), "late").unwrap()).await.unwrap();
    broker.declare(&topology()).await.unwrap();
    broker.publish((0..3).map(command).collect()).await;
    let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
    let mut old = Vec::new();
    while old.len() < 3 {
        old.extend(within("the messages", subscription.next_batch(10)).await.unwrap());
    }
    let mut connected = broker.connected();
    tokio::time::sleep(QUEUE_IS_SETTLED_AFTER).await;
    server.kill();
    within("the loss to be seen", connected.wait_for(|connected| !connected)).await.unwrap();
    server.restart().await.unwrap();

    let mut again = Vec::new();
    while again.len() < 3 {
        again.extend(within("the messages again", subscription.next_batch(10)).await.unwrap());
    }
    subscription.ack(&old).await;
    subscription.requeue(&old).await;
    subscription.dead_letter(&old[0], "from another life").await;
    subscription.ack(&again[..1]).await;
    subscription.cancel().await;
    until("the two that nobody acknowledged", async || broker.depth(&queue()).await.unwrap().ready == 2).await;
    assert_eq!(broker.depth(&QueueName::dead_letters()).await.unwrap().ready, 0);
    broker.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_short_of_memory_delays_publishing_within_bounds_and_never_acks() {
    log();
    let mut server = RabbitMq::start(RabbitMqOptions::for_tests()).await.unwrap();
    let broker = RabbitBroker::connect(RabbitOptions::new(&server.url(), "blocked").unwrap()).await.unwrap();
    broker.declare(&topology()).await.unwrap();
    assert_eq!(broker.publish(vec![command(0)]).await, [Ok(())]);

    server.ctl(&["set_vm_memory_high_watermark", "absolute", "1MB"]).await.unwrap();
    // The alarm is raised a moment later; until then publishing goes on.
    until("a publish to fail", async || {
        let started = Instant::now();
        let answer = broker.publish(vec![command(1)]).await.remove(0);
        assert!(started.elapsed() < PUBLISH_TIMEOUT + BUSY_MACHINE, "{:?}", started.elapsed());
        match answer {
            Ok(()) => false,
            Err(PublishError::Unavailable { .. }) => true,
            Err(other) => panic!("{other}"),
        }
    })
    .await;
    assert!(*broker.connected().borrow(), "it is short of memory, not gone");
    // The other connection is read all the while.
    let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
    let batch = within("a batch", subscription.next_batch(1)).await.unwrap();
    subscription.ack(&batch).await;

    server.ctl(&["set_vm_memory_high_watermark", "absolute", "2GB"]).await.unwrap();
    until("a confirm", async || broker.publish(vec![command(2)]).await[0].is_ok()).await;
    broker.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_broker_closes_are_opened_again() {
    log();
    let mut server = RabbitMq::start(RabbitMqOptions::for_tests()).await.unwrap();
    let broker = RabbitBroker::connect(RabbitOptions::new(&server.url(), "closed").unwrap()).await.unwrap();
    broker.declare(&topology()).await.unwrap();
    let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
    for round in 0..2 {
        let mut connected = broker.connected();
        connected.mark_unchanged();
        server.ctl(&["close_all_connections", "maintenance"]).await.unwrap();
        within("the loss to be seen", connected.changed()).await.unwrap();
        within("the connection", connected.wait_for(|connected| *connected)).await.unwrap();
        until("a confirm", async || broker.publish(vec![command(round)]).await[0].is_ok()).await;
        loop {
            let batch = within("the message", subscription.next_batch(1)).await.unwrap();
            subscription.ack(&batch).await;
            if batch[0].message.message_id == round.to_string() {
                break;
            }
        }
    }
    broker.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_survives_its_queue_being_deleted_and_declared_again() {
    let namespace = Namespace::new(testing::unique("deleted"));
    let options = RabbitOptions::new(&testing::amqp_url(), "deleted").unwrap().with_namespace(namespace);
    let broker = RabbitBroker::connect(options.clone()).await.unwrap();
    let operator = RabbitBroker::connect(options).await.unwrap();
    let flights = Topology::new().with_commands("flights");
    broker.declare(&flights).await.unwrap();
    let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
    operator.remove(&flights).await.unwrap();
    tokio::time::sleep(QUEUE_IS_FORGOTTEN_AFTER).await;
    operator.declare(&flights).await.unwrap();
    // The old publishing channel may have been ended by the missing exchange: that is a doubt, not a loss.
    until("a confirm", async || operator.publish(vec![command(1)]).await[0].is_ok()).await;
    let batch = within("the message", subscription.next_batch(10)).await.unwrap();
    assert_eq!(batch[0].message.message_id, "1");
    operator.remove(&flights).await.unwrap();
    broker.close().await;
    operator.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_message_is_handed_out_and_can_be_buried() {
    let prefix = testing::unique("stranger");
    let options = RabbitOptions::new(&testing::amqp_url(), "host").unwrap().with_namespace(Namespace::new(&prefix));
    let broker = RabbitBroker::connect(options).await.unwrap();
    let flights = Topology::new().with_commands("flights");
    broker.declare(&flights).await.unwrap();

    let connection = Connection::connect(&testing::amqp_url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let body = [0xff, 0xfe, 0x00, b'{'];
    let exchange = format!("{prefix}.commands");
    channel
        .basic_publish(
            exchange.as_str().into(),
            "flights".into(),
            BasicPublishOptions::default(),
            &body,
            BasicProperties::default(),
        )
        .await
        .unwrap();

    let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
    let delivery = within("the message", subscription.next_batch(1)).await.unwrap().remove(0);
    assert_eq!((delivery.message.message_id.as_str(), &delivery.message.body[..]), ("", &body[..]));
    subscription.dead_letter(&delivery, "no message id").await;
    let mut dead_letters = broker.subscribe(&QueueName::dead_letters(), 10).await.unwrap();
    let letter = within("the dead letter", dead_letters.next_batch(1)).await.unwrap().remove(0);
    assert_eq!(letter.dead_letter().unwrap().reason, "no message id");
    assert_eq!(&letter.message.body[..], &body[..]);
    broker.remove(&flights).await.unwrap();
    broker.close().await;
}
