//! Subscriptions to events: exactly once by source and id (S26), faults and poison, two subscribers.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use contract::{
    Route,
    envelope::KIND_EVENT,
    event::{CloudEvent, Event},
};
use messaging::{
    Broker, Message, Namespace, Outgoing, QueueName, Subscription, Topology,
    in_process::InProcessBroker,
    rabbitmq::{RabbitBroker, RabbitOptions},
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use worker_runtime::{
    Settings, Worker, limits, start,
    testkit::{DeliveredEvent, Harness, ManualClock, check_subscription},
};

use crate::{
    flow::{PATIENCE, eventually, take_from},
    guests::{GuestArrived, arrival, greeter, greetings},
    toy::{Mode, Outside},
};

/// Few, so that a test sees the last of them.
const TRIES_MAX: u32 = 4;

async fn harness() -> (Harness, Arc<ManualClock>, PgPool) {
    let database_url = private_servers::testing::database("greeter").await;
    let clock = Arc::new(ManualClock::new(kit::clock::system().now()));
    let domain = greeter(Route::Flights, Outside::new(&database_url));
    let harness = Harness::open(domain, &database_url, clock.clone()).await;
    let pool = harness.pool().clone();
    (harness, clock, pool)
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_subscription_keeps_every_promise_of_the_inbox() {
    let (harness, ..) = harness().await;
    check_subscription(&harness, &greetings(), arrival).await;
}

#[tokio::test]
async fn an_event_is_known_by_its_source_and_id_together() {
    let (harness, _, pool) = harness().await;
    let event = harness.announce(&arrival());
    let elsewhere = CloudEvent { source: "/elsewhere/accommodation".to_owned(), ..event.clone() };
    for event in [&event, &elsewhere] {
        assert_eq!(harness.deliver_event(event).await, DeliveredEvent::Applied);
        assert_eq!(harness.deliver_event(event).await, DeliveredEvent::Duplicate);
    }
    assert_eq!(count(&pool, "SELECT count(*) FROM greeting").await, 2);
}

#[tokio::test]
async fn what_an_event_causes_is_announced_in_the_same_flow() {
    let (harness, ..) = harness().await;
    let event = CloudEvent { correlationid: Some("saga_7".to_owned()), ..harness.announce(&arrival()) };
    harness.deliver_event(&event).await;
    let (kind, caused) = harness.events().await.remove(0);
    assert_eq!(kind, "guest.greeted");
    assert_eq!(caused.source, "/sojourn/flights");
    assert_eq!(caused.subject, event.subject);
    assert_eq!((caused.correlationid, caused.causationid), (event.correlationid, Some(event.id.to_string())));
}

#[tokio::test]
async fn a_fault_leaves_no_trace_and_costs_the_others_of_its_batch_only_their_company() {
    let (harness, _, pool) = harness().await;
    for mode in [Mode::Fault, Mode::Panic, Mode::BreakCheck, Mode::RefuseLate] {
        let before = count(&pool, "SELECT count(*) FROM greeting").await;
        let events: Vec<CloudEvent> = (0..5)
            .map(|place| {
                harness.announce(&GuestArrived { mode: if place == 2 { mode } else { Mode::Well }, ..arrival() })
            })
            .collect();
        let delivered = harness.deliver_events(&events).await;
        for (place, delivered) in delivered.iter().enumerate() {
            match (place, mode, delivered) {
                (2, Mode::RefuseLate, DeliveredEvent::DeadLettered(why)) => assert!(why.contains("guest_unwelcome")),
                (2, _, DeliveredEvent::Faulted(_)) if mode != Mode::RefuseLate => {}
                (2, ..) => panic!("{mode:?} became {delivered:?}"),
                (_, _, delivered) => assert_eq!(delivered, &DeliveredEvent::Applied),
            }
        }
        assert_eq!(count(&pool, "SELECT count(*) FROM greeting").await, before + 4, "{mode:?} left an effect");
        sqlx::query("DELETE FROM runtime.outbox").execute(&pool).await.unwrap();
    }
    assert_eq!(count(&pool, "SELECT count(*) FROM runtime.event_inbox").await, 16);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_says_why() {
    let (harness, _, pool) = harness().await;
    let good = harness.announce(&arrival());
    let cases = [
        (CloudEvent { specversion: "0.3".to_owned(), ..good.clone() }, "CloudEvents version `0.3`"),
        (CloudEvent { source: String::new(), ..good.clone() }, "the source has 0 bytes"),
        (CloudEvent { kind: "guest.left".to_owned(), ..good.clone() }, "not an event that `flights` has subscribed to"),
        (CloudEvent { dataversion: 2, ..good.clone() }, "version 2 is not known here, only version 1"),
        (CloudEvent { data: serde_json::json!({ "guest": 7 }), ..good }, "the data of `guest.arrived` is not readable"),
    ];
    for (event, reason) in cases {
        let DeliveredEvent::DeadLettered(said) = harness.deliver_event(&event).await else { panic!("{event:?}") };
        assert!(said.contains(reason), "`{said}` does not say `{reason}`");
    }
    assert_eq!(count(&pool, "SELECT count(*) FROM runtime.event_inbox").await, 0);
}

#[tokio::test]
async fn the_inbox_of_events_forgets_after_its_retention() {
    let (harness, clock, pool) = harness().await;
    harness.deliver_event(&harness.announce(&arrival())).await;
    clock.advance(limits::INBOX_RETENTION - TimeDelta::days(1));
    assert_eq!(harness.prune().await, 0);
    clock.advance(TimeDelta::days(2));
    assert_eq!(harness.prune().await, 1);
    assert_eq!(count(&pool, "SELECT count(*) FROM runtime.event_inbox").await, 0);
}

/// Two domains that greet, in one worker, and a client of their broker.
struct Greeters {
    broker: Arc<dyn Broker>,
    dead: Subscription,
    outside: Outside,
    worker: Worker,
    token: CancellationToken,
    settings: Settings,
    pools: Vec<PgPool>,
}

/// The names under which they run.
const SUBSCRIBERS: [Route; 2] = [Route::Flights, Route::Feed];

impl Greeters {
    async fn rabbit() -> Self {
        let namespace = Namespace::new(private_servers::testing::unique("greeters"));
        let connect = async |name: &str| {
            let options = RabbitOptions::new(&private_servers::testing::amqp_url(), name).unwrap();
            Arc::new(RabbitBroker::connect(options.with_namespace(namespace.clone())).await.unwrap())
        };
        Self::start(connect("test worker").await, connect("test client").await, limits::DRAIN_MAX).await
    }

    async fn in_process() -> Self {
        let broker = InProcessBroker::new();
        Self::start(Arc::new(broker.another_client()), Arc::new(broker), limits::DRAIN_MAX).await
    }

    async fn start(workers: Arc<dyn Broker>, client: Arc<dyn Broker>, drain_max: Duration) -> Self {
        client.declare(&Topology::new()).await.unwrap();
        let dead = client.subscribe(&QueueName::dead_letters(), 1000).await.unwrap();
        let fresh = private_servers::testing::database("greeters").await;
        let prefix = format!("{}_", fresh.rsplit('/').next().unwrap());
        let mut settings = Settings::new(&fresh, "token".to_owned().into());
        settings.database_prefix.clone_from(&prefix);
        settings.event_tries_max = TRIES_MAX;
        settings.drain_max = drain_max;
        let server = fresh.rsplit_once('/').unwrap().0;
        let outside = Outside::new(&format!("{server}/{prefix}{}", SUBSCRIBERS[0].as_str()));
        let (worker, token) = run(&outside, &settings, workers).await;
        let mut pools = Vec::new();
        for route in SUBSCRIBERS {
            pools.push(PgPool::connect(&format!("{server}/{prefix}{}", route.as_str())).await.unwrap());
        }
        Self { broker: client, dead, outside, worker, token, settings, pools }
    }

    async fn publish(&self, event: &CloudEvent) {
        let message = Message::new(event.id.to_string(), KIND_EVENT, serde_json::to_vec(event).unwrap());
        let published = self.broker.publish(vec![Outgoing::event(event.kind.clone(), message)]).await;
        assert!(published.iter().all(Result::is_ok), "{published:?}");
    }

    /// How often each of the two has greeted.
    async fn greeted(&self) -> Vec<i64> {
        let mut greeted = Vec::new();
        for pool in &self.pools {
            greeted.push(count(pool, "SELECT count(*) FROM greeting").await);
        }
        greeted
    }

    /// Waits until each of the two has greeted so often.
    async fn until_greeted(&self, times: i64) {
        eventually("both have greeted", async || self.greeted().await == [times, times]).await;
    }

    async fn stop(self) {
        self.token.cancel();
        tokio::time::timeout(PATIENCE, self.worker.finished()).await.expect("the worker drains");
        for route in SUBSCRIBERS {
            eventually("the queue is empty", async || {
                let depth = self.broker.depth(&QueueName::events(route.as_str())).await.unwrap();
                (depth.ready, depth.consumers) == (0, 0)
            })
            .await;
        }
        self.broker.close().await;
    }
}

async fn run(outside: &Outside, settings: &Settings, broker: Arc<dyn Broker>) -> (Worker, CancellationToken) {
    let token = CancellationToken::new();
    let domains = SUBSCRIBERS.map(|route| greeter(route, outside.clone())).into();
    let worker = start(domains, settings.clone(), broker, kit::clock::system(), token.clone()).await;
    (worker.unwrap(), token)
}

/// As its domain would announce it.
fn announced(arrival: &GuestArrived) -> CloudEvent {
    CloudEvent {
        specversion: "1.0".to_owned(),
        id: kit::ids::message_id(),
        source: "/sojourn/accommodation".to_owned(),
        kind: GuestArrived::NAME.to_owned(),
        dataversion: GuestArrived::VERSION,
        subject: arrival.subject(),
        time: kit::clock::system().now(),
        datacontenttype: "application/json".to_owned(),
        correlationid: None,
        causationid: None,
        traceparent: None,
        data: serde_json::to_value(arrival).unwrap(),
    }
}

async fn each_hears_once(greeters: Greeters) {
    let event = announced(&arrival());
    for _ in 0..3 {
        greeters.publish(&event).await;
    }
    // An event behind the copies in a queue is greeted after them.
    greeters.publish(&announced(&arrival())).await;
    greeters.until_greeted(2).await;
    eventually("all are acknowledged", async || {
        let depth = greeters.broker.depth(&QueueName::events("feed")).await.unwrap();
        depth.ready == 0
    })
    .await;
    assert_eq!(greeters.greeted().await, [2, 2]);
    greeters.stop().await;
}

#[tokio::test]
async fn two_subscribers_hear_of_an_event_once_each_over_rabbitmq() {
    each_hears_once(Greeters::rabbit().await).await;
}

#[tokio::test]
async fn two_subscribers_hear_of_an_event_once_each_within_a_process() {
    each_hears_once(Greeters::in_process().await).await;
}

async fn faults_are_retried(mut greeters: Greeters) {
    greeters.publish(&announced(&GuestArrived { mode: Mode::Fault, ..arrival() })).await;
    greeters.publish(&announced(&GuestArrived { mode: Mode::LoseFirst, ..arrival() })).await;
    // No other event waits for those that fail.
    greeters.publish(&announced(&arrival())).await;
    greeters.until_greeted(2).await;
    let dead = take_from(&mut greeters.dead, 2, "dead letters").await;
    for letter in &dead {
        let said = letter.dead_letter().expect("it says why").reason;
        assert!(said.contains("4 tries failed") && said.contains("fails as it was told"), "{said}");
    }
    assert_eq!(greeters.greeted().await, [2, 2]);
    greeters.stop().await;
}

#[tokio::test]
async fn a_fault_is_tried_again_until_it_works_or_is_a_dead_letter_over_rabbitmq() {
    faults_are_retried(Greeters::rabbit().await).await;
}

#[tokio::test]
async fn a_fault_is_tried_again_until_it_works_or_is_a_dead_letter_within_a_process() {
    faults_are_retried(Greeters::in_process().await).await;
}

async fn poison_is_a_dead_letter(mut greeters: Greeters) {
    let mut poison = announced(&arrival());
    poison.data = serde_json::json!("no guest");
    greeters.publish(&poison).await;
    greeters.publish(&announced(&GuestArrived { mode: Mode::RefuseLate, ..arrival() })).await;
    greeters.publish(&announced(&arrival())).await;
    greeters.until_greeted(1).await;
    let dead = take_from(&mut greeters.dead, 4, "dead letters").await;
    for reason in ["is not readable", "guest_unwelcome"] {
        let said = dead.iter().filter(|letter| letter.dead_letter().unwrap().reason.contains(reason)).count();
        assert_eq!(said, 2, "`{reason}`");
    }
    greeters.stop().await;
}

#[tokio::test]
async fn poison_and_refusals_become_dead_letters_that_say_why_over_rabbitmq() {
    poison_is_a_dead_letter(Greeters::rabbit().await).await;
}

#[tokio::test]
async fn poison_and_refusals_become_dead_letters_that_say_why_within_a_process() {
    poison_is_a_dead_letter(Greeters::in_process().await).await;
}

#[tokio::test]
async fn an_event_whose_worker_dies_within_its_handler_takes_effect_once_in_the_next_worker() {
    let broker = InProcessBroker::new();
    let (workers, client) = (Arc::new(broker.another_client()), Arc::new(broker.another_client()));
    let mut greeters = Greeters::start(workers, client, Duration::ZERO).await;
    greeters.publish(&announced(&GuestArrived { mode: Mode::Wait, ..arrival() })).await;
    for route in SUBSCRIBERS {
        eventually("the event is at work", async || {
            greeters.broker.depth(&QueueName::events(route.as_str())).await.unwrap().ready == 0
        })
        .await;
    }
    greeters.settings.drain_max = limits::DRAIN_MAX;
    let (worker, token) = run(&greeters.outside, &greeters.settings, Arc::new(broker)).await;
    std::mem::replace(&mut greeters.token, token).cancel();
    let dying = std::mem::replace(&mut greeters.worker, worker);
    tokio::time::timeout(PATIENCE, dying.finished()).await.expect("the worker dies");
    greeters.outside.gate.add_permits(SUBSCRIBERS.len());
    greeters.until_greeted(1).await;
    greeters.stop().await;
}
