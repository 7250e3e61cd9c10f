//! The faults that only a real broker has: it is not there, is killed, comes back, loses its queues, or holds
//! messages of strangers. Both kinds of queue meet each of them, beside each other on one server.
//!
//! A broker that ends takes the messages of classic queues with it: there a publisher resumes after the reconnect, as
//! the port asks of it, and sends again all that it has not seen the effect of.

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

use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions, QueueDeleteOptions},
};
use messaging::{
    Broker, BrokerError, BrokerState, Delivery, Exchange, Message, Namespace, Outgoing, PUBLISH_TIMEOUT, PublishError,
    QueueName, Subscription, Topology, headers,
    rabbitmq::{FirstConnect, QueueKind, RabbitBroker, RabbitOptions},
};
use private_servers::{
    RabbitMq, RabbitMqOptions,
    testing::{self, Proxy, Way},
};
use tokio::sync::watch;

/// A broker needs some ten seconds to start on two busy cores.
const DEADLINE: Duration = Duration::from_secs(180);

/// How much later than its time limit a call may end on a machine with other things to do.
const BUSY_MACHINE: Duration = Duration::from_secs(30);

/// Two heartbeats and their half are 10 seconds; the rest is for a machine with other things to do.
const BLACK_HOLE_IS_KNOWN_WITHIN: Duration = Duration::from_secs(15);

/// Found with RabbitMQ 3.10.8: killed within some 50 ms of having created a quorum queue, it comes back with
/// the queue known but its log empty (confirmed messages gone, term 0, no leader), and the queue never
/// answers again. It is not so a few seconds later. So no broker is killed before its queues are this old.
const QUEUE_IS_SETTLED_AFTER: Duration = Duration::from_secs(3);

/// Between two looks at a level.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

const KINDS: [QueueKind; 2] = [QueueKind::Classic, QueueKind::Quorum];

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

async fn until_state(state: &mut watch::Receiver<BrokerState>, wished: BrokerState) {
    within(&format!("the broker to be {wished:?}"), state.wait_for(|state| *state == wished)).await.unwrap();
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

/// A client whose queues are of this kind, in a namespace of that kind's name, with everything declared.
async fn client(server: &RabbitMq, kind: QueueKind) -> Arc<RabbitBroker> {
    let options = RabbitOptions::new(&server.url(), kind.as_str()).unwrap();
    let options = options.with_namespace(Namespace::new(kind.as_str())).with_queue_kind(kind);
    let broker = RabbitBroker::connect(options).await.unwrap();
    broker.declare(&topology()).await.unwrap();
    Arc::new(broker)
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

/// A stream of numbered messages through one queue and back into this program.
struct Stream {
    kind: QueueKind,
    broker: Arc<RabbitBroker>,
    confirmed: Mutex<BTreeSet<usize>>,
    seen: Mutex<BTreeSet<usize>>,
    stop_publishing: AtomicBool,
    stop_consuming: AtomicBool,
}

impl Stream {
    async fn of(server: &RabbitMq, kind: QueueKind) -> Self {
        Self {
            kind,
            broker: client(server, kind).await,
            confirmed: Mutex::default(),
            seen: Mutex::default(),
            stop_publishing: AtomicBool::new(false),
            stop_consuming: AtomicBool::new(false),
        }
    }

    fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Publishes numbers until told to stop; keeps those that were confirmed.
    async fn publish(&self) {
        let mut state = self.broker.state();
        let mut next = 0;
        while !self.stop_publishing.load(Ordering::Relaxed) {
            let numbers = next..next + 50;
            next = numbers.end;
            if self.publish_numbers(numbers).await.is_err() {
                until_state(&mut state, BrokerState::Connected).await;
                if self.kind == QueueKind::Classic {
                    self.resume().await;
                }
            }
        }
    }

    /// Sends again what was confirmed and has not arrived.
    async fn resume(&self) {
        let outstanding: Vec<usize> = {
            let (confirmed, seen) = (self.confirmed.lock().unwrap(), self.seen.lock().unwrap());
            confirmed.difference(&seen).copied().collect()
        };
        self.publish_numbers(outstanding).await.expect("the broker is back");
    }

    async fn publish_numbers(&self, numbers: impl IntoIterator<Item = usize>) -> Result<(), PublishError> {
        let numbers: Vec<usize> = numbers.into_iter().collect();
        let answers = self.broker.publish(numbers.iter().copied().map(command).collect()).await;
        let mut failed = Ok(());
        for (number, answer) in numbers.into_iter().zip(answers) {
            match answer {
                Ok(()) => drop(self.confirmed.lock().unwrap().insert(number)),
                Err(error @ PublishError::Unavailable { .. }) => failed = Err(error),
                Err(other) => panic!("{number}: {other}"),
            }
        }
        failed
    }

    /// Takes and acknowledges until told to stop; keeps what came.
    async fn consume(&self) {
        let mut subscription = self.broker.subscribe(&queue(), 200).await.unwrap();
        while !self.stop_consuming.load(Ordering::Relaxed) {
            let Ok(batch) = tokio::time::timeout(LOOK_AGAIN, subscription.next_batch(100)).await else { continue };
            let batch = batch.expect("the subscription survives");
            let numbers = batch.iter().map(|delivery| delivery.message.message_id.parse::<usize>().unwrap());
            self.seen.lock().unwrap().extend(numbers);
            subscription.ack(&batch).await;
        }
    }

    async fn until_more_is_seen(&self) {
        let before = self.seen();
        until(&format!("messages to flow ({})", self.kind), async || self.seen() > before + 1_000).await;
    }

    async fn finish(&self) {
        self.stop_publishing.store(true, Ordering::Relaxed);
        let all_seen = async || self.confirmed.lock().unwrap().is_subset(&self.seen.lock().unwrap());
        until(&format!("every confirmed message ({})", self.kind), all_seen).await;
        self.stop_consuming.store(true, Ordering::Relaxed);
        println!("{}: {} confirmed, {} seen", self.kind, self.confirmed.lock().unwrap().len(), self.seen());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_confirmed_message_arrives_though_the_broker_is_killed_and_restarted() {
    log();
    let mut server = RabbitMq::start(RabbitMqOptions::for_tests()).await.unwrap();
    let classic = Stream::of(&server, QueueKind::Classic).await;
    let quorum = Stream::of(&server, QueueKind::Quorum).await;
    let broker = Arc::clone(&quorum.broker);
    let mut own_messages = broker.subscribe(&QueueName::orchestrator("one"), 10).await.unwrap();
    let script = async {
        tokio::time::sleep(QUEUE_IS_SETTLED_AFTER).await;
        let mut states = [classic.broker.state(), quorum.broker.state()];
        for _ in 0..2 {
            tokio::join!(classic.until_more_is_seen(), quorum.until_more_is_seen());
            server.kill();
            for state in &mut states {
                until_state(state, BrokerState::Away).await;
            }
            assert!(matches!(broker.publish(vec![command(0)]).await[..], [Err(PublishError::Unavailable { .. })]));
            server.restart().await.unwrap();
            for state in &mut states {
                until_state(state, BrokerState::Connected).await;
            }
            tokio::join!(classic.until_more_is_seen(), quorum.until_more_is_seen());
        }
        tokio::join!(classic.finish(), quorum.finish());
    };
    tokio::join!(script, classic.publish(), classic.consume(), quorum.publish(), quorum.consume());

    // The exclusive queue went with the old connection; it is there again, and so is its subscription.
    let message = Outgoing::reply(QueueName::orchestrator("one").as_str(), Message::new("own", "committed", "{}"));
    assert_eq!(broker.publish(vec![message]).await, [Ok(())]);
    let batch = within("the message", own_messages.next_batch(10)).await.unwrap();
    assert_eq!(batch[0].message.message_id, "own");
    classic.broker.close().await;
    broker.close().await;
    server.stop().await;
}

async fn take(subscription: &mut Subscription, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(within("the messages", subscription.next_batch(10)).await.unwrap());
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledgements_from_before_a_restart_touch_nothing_after_it() {
    log();
    let mut server = RabbitMq::start(RabbitMqOptions::for_tests()).await.unwrap();
    let mut before = Vec::new();
    for kind in KINDS {
        let broker = client(&server, kind).await;
        broker.publish((0..3).map(command).collect()).await;
        let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
        let old = take(&mut subscription, 3).await;
        before.push((kind, broker.state(), broker, subscription, old));
    }
    tokio::time::sleep(QUEUE_IS_SETTLED_AFTER).await;
    server.kill();
    for (_, state, ..) in &mut before {
        until_state(state, BrokerState::Away).await;
    }
    server.restart().await.unwrap();

    for (kind, mut state, broker, mut subscription, old) in before {
        if kind == QueueKind::Classic {
            until_state(&mut state, BrokerState::Connected).await;
            assert_eq!(broker.publish((0..3).map(command).collect()).await, [Ok(()), Ok(()), Ok(())]);
        }
        let again = take(&mut subscription, 3).await;
        subscription.ack(&old).await;
        subscription.requeue(&old).await;
        subscription.dead_letter(&old[0], "from another life").await;
        subscription.ack(&again[..1]).await;
        subscription.cancel().await;
        until("the two that nobody acknowledged", async || broker.depth(&queue()).await.unwrap().ready == 2).await;
        assert_eq!(broker.depth(&QueueName::dead_letters()).await.unwrap().ready, 0);
        broker.close().await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_short_of_memory_delays_publishing_within_bounds_and_never_acks() {
    log();
    let mut server = RabbitMq::start(RabbitMqOptions::for_tests()).await.unwrap();
    for kind in KINDS {
        let broker = client(&server, kind).await;
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
        assert_eq!(*broker.state().borrow(), BrokerState::Blocked, "it is short of memory, not gone");
        // The other connection is read all the while.
        let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
        let batch = within("a batch", subscription.next_batch(1)).await.unwrap();
        subscription.ack(&batch).await;

        server.ctl(&["set_vm_memory_high_watermark", "absolute", "2GB"]).await.unwrap();
        until_state(&mut broker.state(), BrokerState::Connected).await;
        until("a confirm", async || broker.publish(vec![command(2)]).await[0].is_ok()).await;
        broker.close().await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_everything_is_told_apart_from_a_silent_broker() {
    log();
    let url = testing::amqp_url();
    let proxy = Proxy::to_server_of(&url).await;
    let namespace = Namespace::new(testing::unique("swallowed"));
    let options = RabbitOptions::new(&proxy.through(&url), "swallowed").unwrap().with_namespace(namespace);
    let broker = RabbitBroker::connect(options).await.unwrap();
    let flights = Topology::new().with_commands("flights");
    broker.declare(&flights).await.unwrap();

    let mut state = broker.state();
    proxy.set(Way::Frozen);
    let frozen_at = Instant::now();
    until_state(&mut state, BrokerState::Away).await;
    assert!(frozen_at.elapsed() < BLACK_HOLE_IS_KNOWN_WITHIN, "{:?}", frozen_at.elapsed());
    proxy.set(Way::Open);
    until_state(&mut state, BrokerState::Connected).await;
    assert_eq!(broker.publish(vec![command(1)]).await, [Ok(())]);
    broker.remove(&flights).await.unwrap();
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_broker_closes_are_opened_again() {
    log();
    let mut server = RabbitMq::start(RabbitMqOptions::for_tests()).await.unwrap();
    for kind in KINDS {
        let broker = client(&server, kind).await;
        let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
        for round in 0..2 {
            let mut state = broker.state();
            state.mark_unchanged();
            server.ctl(&["close_all_connections", "maintenance"]).await.unwrap();
            within("the loss to be seen", state.changed()).await.unwrap();
            until_state(&mut state, BrokerState::Connected).await;
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
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_an_operator_deletes_is_declared_and_consumed_again() {
    futures::future::join_all(KINDS.map(survive_a_deletion)).await;
}

async fn survive_a_deletion(kind: QueueKind) {
    let namespace = Namespace::new(testing::unique("deleted"));
    let options = RabbitOptions::new(&testing::amqp_url(), "deleted").unwrap();
    let options = options.with_namespace(namespace).with_queue_kind(kind);
    let broker = RabbitBroker::connect(options.clone()).await.unwrap();
    let operator = RabbitBroker::connect(options).await.unwrap();
    let flights = Topology::new().with_commands("flights");
    broker.declare(&flights).await.unwrap();
    let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
    operator.remove(&flights).await.unwrap();
    // The old publishing channel may have been ended by the missing exchange: that is a doubt, not a loss.
    let confirm = until("a confirm", async || broker.publish(vec![command(1)]).await[0].is_ok());
    let (batch, ()) = tokio::join!(take(&mut subscription, 1), confirm);
    assert_eq!(batch[0].message.message_id, "1");
    operator.remove(&flights).await.unwrap();
    broker.close().await;
    operator.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_deleted_while_its_domain_is_away_is_declared_again_by_who_sends_to_it() {
    log();
    futures::future::join_all(KINDS.map(send_to_a_deleted_queue)).await;
}

async fn send_to_a_deleted_queue(kind: QueueKind) {
    let prefix = testing::unique("away");
    let options = RabbitOptions::new(&testing::amqp_url(), "away").unwrap();
    let options = options.with_namespace(Namespace::new(&prefix)).with_queue_kind(kind);
    let broker = Arc::new(RabbitBroker::connect(options).await.unwrap());
    let flights = Topology::new().with_commands("flights");
    broker.declare(&flights).await.unwrap();
    let connection = Connection::connect(&testing::amqp_url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    for queue in [queue(), QueueName::dead_letters()] {
        let name = format!("{prefix}.{queue}");
        channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    }
    // Several publishers at once, with messages that no queue was ever declared for among theirs.
    let stray = Outgoing::command("nowhere", Message::new("stray", "k", "{}"));
    let publishing = (0..4).map(|number| {
        let (broker, stray) = (Arc::clone(&broker), stray.clone());
        async move { broker.publish(vec![command(number), stray]).await }
    });
    for answers in futures::future::join_all(publishing).await {
        assert!(matches!(answers[..], [Ok(()), Err(PublishError::Unroutable { .. })]), "{answers:?}");
    }
    let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
    let taken = take(&mut subscription, 4).await;
    // A dead letter finds its queue again as well.
    subscription.dead_letter(&taken[0], "nothing will do").await;
    subscription.ack(&taken[1..]).await;
    let mut dead_letters = broker.subscribe(&QueueName::dead_letters(), 10).await.unwrap();
    assert_eq!(take(&mut dead_letters, 1).await[0].dead_letter().unwrap().reason, "nothing will do");
    broker.remove(&flights).await.unwrap();
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_message_is_handed_out_and_can_be_buried() {
    futures::future::join_all(KINDS.map(bury_a_strangers_message)).await;
}

async fn bury_a_strangers_message(kind: QueueKind) {
    let prefix = testing::unique("stranger");
    let options = RabbitOptions::new(&testing::amqp_url(), "host").unwrap();
    let options = options.with_namespace(Namespace::new(&prefix)).with_queue_kind(kind);
    let broker = RabbitBroker::connect(options).await.unwrap();
    let flights = Topology::new().with_commands("flights");
    broker.declare(&flights).await.unwrap();

    let connection = Connection::connect(&testing::amqp_url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let body = [0xff, 0xfe, 0x00, b'{'];
    let wire_queue = format!("{prefix}.{}", queue());
    for (exchange, key) in [(format!("{prefix}.commands"), "flights"), (String::new(), wire_queue.as_str())] {
        let (exchange, properties) = (exchange.as_str().into(), BasicProperties::default());
        let options = BasicPublishOptions::default();
        channel.basic_publish(exchange, key.into(), options, &body, properties).await.unwrap();
    }

    let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
    // One of them has no exchange of ours, and comes back all the same.
    let deliveries = take(&mut subscription, 2).await;
    subscription.requeue(&deliveries).await;
    for delivery in take(&mut subscription, 2).await {
        assert_eq!((delivery.redelivered, delivery.delivery_count), (true, 1));
        assert_eq!((delivery.message.message_id.as_str(), &delivery.message.body[..]), ("", &body[..]));
        subscription.dead_letter(&delivery, "no message id").await;
    }
    let mut dead_letters = broker.subscribe(&QueueName::dead_letters(), 10).await.unwrap();
    for letter in take(&mut dead_letters, 2).await {
        assert_eq!(letter.dead_letter().unwrap().reason, "no message id");
        assert_eq!(&letter.message.body[..], &body[..]);
    }
    broker.remove(&flights).await.unwrap();
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_in_the_dead_letters_is_taken_apart_and_sent_again() {
    futures::future::join_all(KINDS.map(take_a_dead_parcel_apart)).await;
}

async fn take_a_dead_parcel_apart(kind: QueueKind) {
    let prefix = testing::unique("parcel");
    let options = RabbitOptions::new(&testing::amqp_url(), "parcel").unwrap();
    let options = options.with_namespace(Namespace::new(&prefix)).with_queue_kind(kind);
    let broker = RabbitBroker::connect(options).await.unwrap();
    let flights = Topology::new().with_commands("flights");
    broker.declare(&flights).await.unwrap();
    let sent = broker.publish((0..2).map(|number| command(number).to_unpacker(true)).collect()).await;
    assert_eq!(sent, [Ok(()), Ok(())]);

    // A worker in another language, which knows single messages only, buries what it cannot read.
    let connection = Connection::connect(&testing::amqp_url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let wire_queue = format!("{prefix}.{}", queue());
    let got = channel.basic_get(wire_queue.as_str().into(), BasicGetOptions { no_ack: true }).await.unwrap();
    let parcel = got.expect("one message").delivery;
    let mut letter = Message::new("0", parcel.properties.kind().clone().unwrap().to_string(), parcel.data);
    for (name, value) in [
        (headers::REASON, "not a command"),
        (headers::SOURCE_QUEUE, queue().as_str()),
        (headers::SOURCE_EXCHANGE, Exchange::Commands.name()),
    ] {
        letter = letter.with_header(name, value);
    }
    assert_eq!(broker.publish(vec![Outgoing::to(Exchange::DeadLetters, "flights", letter)]).await, [Ok(())]);

    let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
    let mut dead_letters = broker.subscribe(&QueueName::dead_letters(), 10).await.unwrap();
    let members = tokio::select! {
        members = take(&mut subscription, 2) => members,
        letter = dead_letters.next_batch(1) => panic!("handed out: {letter:?}"),
    };
    let ids: BTreeSet<_> = members.iter().map(|delivery| delivery.message.message_id.as_str()).collect();
    assert_eq!(ids, BTreeSet::from(["0", "1"]));
    // The next letter is handed out, so the parcel before it was not.
    let end = Message::new("end", "end", "{}");
    assert_eq!(broker.publish(vec![Outgoing::to(Exchange::DeadLetters, "flights", end)]).await, [Ok(())]);
    assert_eq!(take(&mut dead_letters, 1).await[0].message.message_id, "end");
    broker.remove(&flights).await.unwrap();
    broker.close().await;
}
