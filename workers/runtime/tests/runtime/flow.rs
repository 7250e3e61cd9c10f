//! A whole worker on a broker, from the command's message to the reply's.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use contract::{
    CommandId, Outcome,
    envelope::{CommandEnvelope, KIND_COMMAND, ReplyEnvelope},
    event::CloudEvent,
};
use messaging::{
    Broker, Delivery, Exchange, Message, Namespace, Outgoing, QueueName, Subscription, Topology,
    in_process::InProcessBroker,
    rabbitmq::{RabbitBroker, RabbitOptions},
};
use tokio_util::sync::CancellationToken;
use worker_runtime::{Settings, Worker, limits, start, testkit::action_of_a_new_saga};

use crate::toy::{AskOutside, Mode, Outside, TakeSeat, domain, local_domain, outside_pair, take};

/// Far longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a level.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A running worker of the toy domain and a client of its broker.
pub(crate) struct Flow {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) replies: Subscription,
    pub(crate) dead: Subscription,
    pub(crate) outside: Outside,
    pub(crate) token: CancellationToken,
    pub(crate) worker: Worker,
    pub(crate) database_url: String,
    pub(crate) settings: Settings,
}

/// The choices of a test about its worker.
#[derive(Default)]
pub(crate) struct Choices<'a> {
    /// From the database's address to what the worker is given, such as a proxy's.
    pub(crate) through: Option<&'a dyn Fn(&str) -> String>,
    pub(crate) drain_max: Option<Duration>,
}

impl Flow {
    /// On the broker inside the process.
    pub(crate) async fn in_process() -> Self {
        let broker = InProcessBroker::new();
        Self::start(Arc::new(broker.another_client()), Arc::new(broker), Choices::default()).await
    }

    /// On RabbitMQ, within a namespace of its own.
    pub(crate) async fn rabbit() -> Self {
        let namespace = Namespace::new(private_servers::testing::unique("runtime"));
        let connect = async |name: &str| {
            let options = RabbitOptions::new(&private_servers::testing::amqp_url(), name).unwrap();
            Arc::new(RabbitBroker::connect(options.with_namespace(namespace.clone())).await.unwrap())
        };
        Self::start(connect("test worker").await, connect("test client").await, Choices::default()).await
    }

    pub(crate) async fn start(workers: Arc<dyn Broker>, client: Arc<dyn Broker>, choices: Choices<'_>) -> Self {
        let topology = Topology::new().with_replies(0).with_events("test", &["seat.*"]).with_commands("flights");
        client.declare(&topology).await.unwrap();
        let replies = client.subscribe(&QueueName::replies(0), 1000).await.unwrap();
        let dead = client.subscribe(&QueueName::dead_letters(), 1000).await.unwrap();
        // The worker makes `<prefix>flights`; the fresh database gives the prefix its unique name.
        let fresh = private_servers::testing::database("flow").await;
        let prefix = format!("{}_", fresh.rsplit('/').next().unwrap());
        let database_url = format!("{}/{prefix}flights", fresh.rsplit_once('/').unwrap().0);
        let outside = Outside::new(&database_url);
        let given = choices.through.map_or_else(|| database_url.clone(), |through| through(&database_url));
        let mut settings = Settings::new(given, "token".to_owned().into());
        settings.database_prefix = prefix;
        settings.listen = Some("127.0.0.1:0".parse().unwrap());
        settings.drain_max = choices.drain_max.unwrap_or(settings.drain_max);
        let (worker, token) = run(domain(outside.clone()), &settings, workers).await;
        Self { broker: client, replies, dead, outside, token, worker, database_url, settings }
    }

    /// One more worker of the same domain.
    pub(crate) async fn another_worker(&self, broker: Arc<dyn Broker>) -> (Worker, CancellationToken) {
        run(domain(self.outside.clone()), &self.settings, broker).await
    }

    /// Tells the worker to end and puts another one in its place; returns the one that is ending.
    pub(crate) async fn hand_over(&mut self, broker: Arc<dyn Broker>) -> Worker {
        let (next, next_token) = self.another_worker(broker).await;
        std::mem::replace(&mut self.token, next_token).cancel();
        std::mem::replace(&mut self.worker, next)
    }

    pub(crate) async fn send(&self, id: &CommandId, attempt: u16, command: &impl contract::Command) {
        let mut envelope = envelope(id, command);
        envelope.attempt = attempt;
        self.send_bytes(serde_json::to_vec(&envelope).unwrap()).await;
    }

    pub(crate) async fn send_bytes(&self, body: Vec<u8>) {
        let message = Message::new(kit::ids::message_id().to_string(), KIND_COMMAND, body);
        let results = self.broker.publish(vec![Outgoing::command("flights", message)]).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }

    /// The next `many` replies.
    pub(crate) async fn replies(&mut self, many: usize) -> Vec<ReplyEnvelope> {
        let deliveries = take_from(&mut self.replies, many, "replies").await;
        deliveries.iter().map(|reply| serde_json::from_slice(&reply.message.body).unwrap()).collect()
    }

    pub(crate) async fn dead(&mut self, many: usize) -> Vec<Delivery> {
        take_from(&mut self.dead, many, "dead letters").await
    }

    /// Stops the worker and sees that it left no command behind.
    pub(crate) async fn stop(self) {
        self.token.cancel();
        tokio::time::timeout(PATIENCE, self.worker.finished()).await.expect("the worker drains");
        assert_eq!(commands_left_alone(self.broker.as_ref()).await, 0);
        self.broker.close().await;
    }
}

/// One more worker of the same domain, with other settings.
pub(crate) async fn run_with(flow: &Flow, settings: &Settings, broker: Arc<dyn Broker>) -> (Worker, CancellationToken) {
    run(domain(flow.outside.clone()), settings, broker).await
}

async fn run(
    domain: worker_runtime::Domain,
    settings: &Settings,
    broker: Arc<dyn Broker>,
) -> (Worker, CancellationToken) {
    let token = CancellationToken::new();
    let started = start(vec![domain], settings.clone(), broker, kit::clock::system(), token.clone()).await;
    (started.unwrap(), token)
}

pub(crate) async fn take_from(subscription: &mut Subscription, many: usize, what: &str) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < many {
        let batch = tokio::time::timeout(PATIENCE, subscription.next_batch(many - taken.len())).await;
        let batch = batch.unwrap_or_else(|_| panic!("{} of {many} {what} after {PATIENCE:?}", taken.len()));
        let batch = batch.expect("the client is open");
        subscription.ack(&batch).await;
        taken.extend(batch);
    }
    taken
}

pub(crate) fn envelope<C: contract::Command>(id: &CommandId, command: &C) -> CommandEnvelope {
    CommandEnvelope {
        message_id: kit::ids::message_id(),
        command_id: id.clone(),
        attempt: 1,
        name: C::NAME.to_owned(),
        version: C::VERSION,
        route: C::ROUTE,
        reply_to: QueueName::replies(0).as_str().to_owned(),
        expires_at: Some(kit::clock::system().now() + chrono::TimeDelta::minutes(1)),
        traceparent: Some(kit::ids::traceparent()),
        parcels: true,
        payload: serde_json::value::to_raw_value(command).unwrap(),
    }
}

async fn answers_commands(mut flow: Flow) {
    let id = action_of_a_new_saga("hold");
    let command = take("wide");
    for attempt in 1..=5 {
        flow.send(&id, attempt, &command).await;
    }
    let replies = flow.replies(5).await;
    let mut attempts: Vec<u16> = replies.iter().map(|reply| reply.attempt).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 2, 3, 4, 5]);
    for reply in &replies {
        assert_eq!(reply.command_id, id);
        assert_eq!(reply.outcome, replies[0].outcome);
        assert!(matches!(reply.outcome, Outcome::Done { .. }) && reply.traceparent.is_some(), "{reply:?}");
    }
    flow.stop().await;
}

#[tokio::test]
async fn five_copies_of_a_command_get_five_equal_answers_over_rabbitmq() {
    answers_commands(Flow::rabbit().await).await;
}

#[tokio::test]
async fn five_copies_of_a_command_get_five_equal_answers_within_a_process() {
    answers_commands(Flow::in_process().await).await;
}

async fn many_commands(mut flow: Flow) {
    const MANY: usize = 600;
    for number in 0..MANY {
        let pool = if number % 10 == 0 { "none" } else { "wide" };
        flow.send(&action_of_a_new_saga("hold"), 1, &take(pool)).await;
    }
    let replies = flow.replies(MANY).await;
    let refused = replies.iter().filter(|reply| matches!(reply.outcome, Outcome::Refused(_))).count();
    let done = replies.iter().filter(|reply| matches!(reply.outcome, Outcome::Done { .. })).count();
    assert_eq!((refused, done), (MANY / 10, MANY - MANY / 10));
    // Each done command told its event once.
    let mut events = flow.broker.subscribe(&QueueName::events("test"), 1000).await.unwrap();
    let events = take_from(&mut events, done, "events").await;
    let mut ids = BTreeMap::new();
    for event in &events {
        let event: CloudEvent = serde_json::from_slice(&event.message.body).unwrap();
        assert_eq!((event.kind.as_str(), event.source.as_str()), ("seat.taken", "/sojourn/flights"));
        assert!(event.correlationid.is_some() && event.causationid.is_some() && event.traceparent.is_some());
        *ids.entry(event.id).or_insert(0) += 1;
    }
    assert_eq!(ids.len(), done, "events were told more than once");
    flow.stop().await;
}

#[tokio::test]
async fn hundreds_of_commands_are_answered_once_each_over_rabbitmq() {
    many_commands(Flow::rabbit().await).await;
}

#[tokio::test]
async fn hundreds_of_commands_are_answered_once_each_within_a_process() {
    many_commands(Flow::in_process().await).await;
}

async fn names_what_it_cannot_read(mut flow: Flow) {
    let good = envelope(&action_of_a_new_saga("hold"), &take("wide"));
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = serde_json::to_value(&good).unwrap();
        change(&mut value);
        serde_json::to_vec(&value).unwrap()
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"{".to_vec(), "not a readable command"),
        (b"\xff\xfe".to_vec(), "not a readable command"),
        (vec![b' '; contract::limits::MESSAGE_BYTES_MAX + 1], "bytes, more than"),
        (with(&|v| v["route"] = "order".into()), "the command is for `order`"),
        (with(&|v| v["name"] = "toy.fly".into()), "`toy.fly` is not a command of `flights`"),
        (with(&|v| v["version"] = 2.into()), "version 2 is not known here, only version 1"),
        (with(&|v| v["payload"] = serde_json::json!({ "pool": 7 })), "the payload of `toy.take_seat` is not readable"),
        (with(&|v| v["reply_to"] = "".into()), "reply address"),
        (with(&|v| v["command_id"] = "hold".into()), "not a command id"),
        (
            with(&|v| v["command_id"] = v["command_id"].as_str().unwrap().replace("action", "compensation").into()),
            "undoes nothing",
        ),
    ];
    for (body, _) in &cases {
        flow.send_bytes(body.clone()).await;
    }
    let dead = flow.dead(cases.len()).await;
    for (body, reason) in &cases {
        let letter = dead.iter().find(|letter| letter.message.body == *body).expect("the message's dead letter");
        let said = letter.dead_letter().expect("it says why").reason;
        assert!(said.contains(reason), "`{said}` does not say `{reason}`");
    }
    // The queue lives on.
    flow.send_bytes(serde_json::to_vec(&good).unwrap()).await;
    assert!(matches!(flow.replies(1).await[0].outcome, Outcome::Done { .. }));
    flow.stop().await;
}

#[tokio::test]
async fn unreadable_commands_become_dead_letters_that_say_why_over_rabbitmq() {
    names_what_it_cannot_read(Flow::rabbit().await).await;
}

#[tokio::test]
async fn unreadable_commands_become_dead_letters_that_say_why_within_a_process() {
    names_what_it_cannot_read(Flow::in_process().await).await;
}

#[tokio::test]
async fn copies_of_an_outside_command_under_way_wait_for_its_one_call() {
    let mut flow = Flow::in_process().await;
    let id = action_of_a_new_saga("ask");
    let (ask, _) = outside_pair();
    let ask = AskOutside { mode: Mode::Wait, ..ask };
    for attempt in 1..=3 {
        flow.send(&id, attempt, &ask).await;
    }
    // Other commands pass by meanwhile.
    flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    assert!(matches!(flow.replies(1).await[0].outcome, Outcome::Done { .. }));
    flow.outside.gate.add_permits(1);
    let replies = flow.replies(3).await;
    assert!(replies.iter().all(|reply| reply.outcome == replies[0].outcome), "{replies:?}");
    assert_eq!(flow.outside.calls().await, 1);
    flow.stop().await;
}

#[tokio::test]
async fn a_reply_nobody_waits_for_does_not_stop_the_queue() {
    let mut flow = Flow::rabbit().await;
    let mut nowhere = envelope(&action_of_a_new_saga("hold"), &take("wide"));
    nowhere.reply_to = "replies.nobody".to_owned();
    flow.send_bytes(serde_json::to_vec(&nowhere).unwrap()).await;
    flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    assert!(matches!(flow.replies(1).await[0].outcome, Outcome::Done { .. }));
    flow.stop().await;
}

#[tokio::test]
async fn a_command_whose_trace_is_no_trace_is_answered_without_it() {
    let mut flow = Flow::in_process().await;
    let mut strange = serde_json::to_value(envelope(&action_of_a_new_saga("hold"), &take("wide"))).unwrap();
    strange["traceparent"] = "0".repeat(messaging::HEADERS_BYTES_MAX + 1).into();
    flow.send_bytes(serde_json::to_vec(&strange).unwrap()).await;
    let reply = flow.replies(1).await.remove(0);
    assert!(matches!(reply.outcome, Outcome::Done { .. }));
    assert_eq!(reply.traceparent, None);
    flow.stop().await;
}

#[tokio::test]
async fn a_full_batch_of_a_domain_that_asks_nobody_outside_is_one_transaction() {
    let broker = InProcessBroker::new();
    let mut flow =
        Flow::start(Arc::new(broker.another_client()), Arc::new(broker.another_client()), Choices::default()).await;
    flow.token.cancel();
    commands_left_alone(flow.broker.as_ref()).await;
    for _ in 0..limits::BATCH_COMMANDS_MAX {
        flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    }
    let (worker, token) = run(local_domain(), &flow.settings, Arc::new(broker)).await;
    flow.replies(limits::BATCH_COMMANDS_MAX).await;
    let pool = sqlx::PgPool::connect(&flow.database_url).await.unwrap();
    let transactions: i64 =
        sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM runtime.inbox").fetch_one(&pool).await.unwrap();
    assert_eq!(transactions, 1);
    token.cancel();
    worker.finished().await;
}

#[tokio::test]
async fn workers_side_by_side_answer_everything_and_tell_every_event_though_one_leaves() {
    const MANY: usize = 400;
    let broker = InProcessBroker::new();
    let mut flow =
        Flow::start(Arc::new(broker.another_client()), Arc::new(broker.another_client()), Choices::default()).await;
    let (another, another_token) = flow.another_worker(Arc::new(broker)).await;
    for number in 0..MANY {
        if number == MANY / 2 {
            flow.token.cancel();
        }
        flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    }
    let replies = flow.replies(MANY).await;
    assert!(replies.iter().all(|reply| matches!(reply.outcome, Outcome::Done { .. })));
    let mut events = flow.broker.subscribe(&QueueName::events("test"), 1000).await.unwrap();
    let mut told = BTreeSet::new();
    while told.len() < MANY {
        for event in take_from(&mut events, 1, "events").await {
            told.insert(serde_json::from_slice::<CloudEvent>(&event.message.body).unwrap().id);
        }
    }
    let (pool, flow_worker) = (sqlx::PgPool::connect(&flow.database_url).await.unwrap(), flow.worker);
    another_token.cancel();
    another.finished().await;
    flow_worker.finished().await;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM runtime.outbox").fetch_one(&pool).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn an_event_without_subscribers_does_not_stay_in_the_outbox() {
    let mut flow = Flow::in_process().await;
    // This worker's kind of event goes to `test`; one of another kind has no subscriber.
    let pool = sqlx::PgPool::connect(&flow.database_url).await.unwrap();
    sqlx::query("INSERT INTO runtime.outbox (event_id, kind, body) VALUES (gen_random_uuid(), 'nobody.cares', '{}')")
        .execute(&pool)
        .await
        .unwrap();
    flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    flow.replies(1).await;
    flow.token.cancel();
    tokio::time::timeout(PATIENCE, flow.worker.finished()).await.expect("the worker drains");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM runtime.outbox").fetch_one(&pool).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn events_that_a_dead_worker_left_are_told_at_the_next_start() {
    let broker = InProcessBroker::new();
    let client: Arc<dyn Broker> = Arc::new(broker.another_client());
    let topology = Topology::new().with_events("test", &["seat.*"]);
    client.declare(&topology).await.unwrap();
    let fresh = private_servers::testing::database("left").await;
    let prefix = format!("{}_", fresh.rsplit('/').next().unwrap());
    let database_url = format!("{}/{prefix}flights", fresh.rsplit_once('/').unwrap().0);
    // A worker commits and dies before its relay wakes: the harness has no relay.
    private_servers::testing::database("unused").await;
    kit::postgres::open(&database_url, &format!("{prefix}flights"), 1, &sqlx::migrate::Migrator::DEFAULT)
        .await
        .unwrap();
    let outside = Outside::new(&database_url);
    let dying =
        worker_runtime::testkit::Harness::open(domain(outside.clone()), &database_url, kit::clock::system()).await;
    dying.deliver(&action_of_a_new_saga("hold"), &take("wide")).await;
    assert_eq!(dying.events().await.len(), 1);

    let mut settings = Settings::new(database_url, "token".to_owned().into());
    settings.database_prefix = prefix;
    let token = CancellationToken::new();
    let worker =
        start(vec![domain(outside)], settings, Arc::new(broker), kit::clock::system(), token.clone()).await.unwrap();
    let mut events = client.subscribe(&QueueName::events("test"), 10).await.unwrap();
    take_from(&mut events, 1, "events").await;
    token.cancel();
    worker.finished().await;
}

#[tokio::test]
async fn draining_finishes_what_was_taken_and_leaves_the_rest_in_the_queue() {
    let mut flow = Flow::rabbit().await;
    let (ask, _) = outside_pair();
    flow.send(&action_of_a_new_saga("ask"), 1, &AskOutside { mode: Mode::Wait, ..ask }).await;
    // Under way: its intent is stored.
    let pool = sqlx::PgPool::connect(&flow.database_url).await.unwrap();
    eventually("the intent is stored", async || {
        sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT FROM runtime.inbox WHERE state = 'p')")
            .fetch_one(&pool)
            .await
            .unwrap()
    })
    .await;
    flow.token.cancel();
    flow.outside.gate.add_permits(1);
    assert!(matches!(flow.replies(1).await[0].outcome, Outcome::Done { .. }));
    let Flow { worker, broker, .. } = flow;
    tokio::time::timeout(PATIENCE, worker.finished()).await.expect("the worker drains");
    let message = Message::new("later", KIND_COMMAND, "{}");
    let sent = broker.publish(vec![Outgoing::to(Exchange::Commands, "flights", message)]);
    assert!(sent.await[0].is_ok());
    assert_eq!(commands_left_alone(broker.as_ref()).await, 1);
    broker.close().await;
}

#[tokio::test]
async fn a_command_is_late_when_its_time_passed_in_the_queue() {
    let mut flow = Flow::in_process().await;
    let mut late = envelope(&action_of_a_new_saga("hold"), &TakeSeat { ..take("wide") });
    late.expires_at = Some(kit::clock::system().now() - chrono::TimeDelta::seconds(1));
    flow.send_bytes(serde_json::to_vec(&late).unwrap()).await;
    let Outcome::Faulted(fault) = flow.replies(1).await.remove(0).outcome else { panic!("it was started") };
    assert_eq!(fault.code, contract::command::FAULT_COMMAND_EXPIRED);
    flow.stop().await;
}

#[tokio::test]
async fn reads_need_the_internal_token_and_readiness_does_not() {
    let flow = Flow::in_process().await;
    let address = flow.worker.address().unwrap();
    let client = reqwest::Client::new();
    let get = async |path: &str, token: Option<&str>| {
        let request = client.get(format!("http://{address}{path}"));
        let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(get("/internal/flights/seats", None).await, 401);
    assert_eq!(get("/internal/flights/seats", Some("wrong")).await, 401);
    assert_eq!(get("/internal/flights/seats", Some("token")).await, 200);
    assert_eq!(get("/internal/flights/nothing", Some("token")).await, 404);
    assert_eq!(get("/ready", None).await, 200);
    assert_eq!(get("/health", None).await, 200);
    flow.stop().await;
}

/// Waits until the queue of commands has no consumer any more, and tells how many lie there. A quorum queue hears of the end of a
/// consumer a moment after the consumer itself, and only then has back what that one had not acknowledged.
pub(crate) async fn commands_left_alone(broker: &dyn Broker) -> u64 {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let depth = broker.depth(&QueueName::commands("flights")).await.unwrap();
        if depth.consumers == 0 {
            return depth.ready;
        }
        assert!(tokio::time::Instant::now() < deadline, "somebody still takes commands: {depth:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Waits for a state.
pub(crate) async fn eventually(what: &str, state: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !state().await {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
