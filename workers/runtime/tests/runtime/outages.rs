//! The database or the broker goes away and comes back, or does not.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use contract::Outcome;
use futures::future::join_all;
use messaging::{
    Broker, BrokerError, BrokerState, Exchange, Outgoing, PublishError, QueueDepth, QueueName, Subscription, Topology,
    headers, in_process::InProcessBroker,
};
use private_servers::testing::{Proxy, Way};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::watch;
use worker_runtime::{limits, testkit::action_of_a_new_saga};

use crate::{
    flow::{Choices, Flow, PATIENCE, commands_left_alone, envelope, eventually, take_from},
    toy::{Mode, TakeSeat, take},
};

/// A way to the tests' database server that can be cut.
async fn proxy() -> Proxy {
    Proxy::to_server_of(&private_servers::testing::database("proxy").await).await
}

/// A broker that takes no replies for a while.
#[derive(Debug)]
struct Reluctant {
    inner: InProcessBroker,
    takes_replies: AtomicBool,
    /// A queue that takes no reply whatever the others do.
    full: OnceLock<&'static str>,
}

impl Reluctant {
    fn of(broker: &InProcessBroker) -> Arc<Self> {
        Arc::new(Self { inner: broker.another_client(), takes_replies: AtomicBool::new(false), full: OnceLock::new() })
    }
}

impl Reluctant {
    fn refuses(&self, full: &'static str) {
        self.full.set(full).unwrap();
    }
}

#[async_trait]
impl Broker for Reluctant {
    async fn declare(&self, topology: &Topology) -> Result<(), BrokerError> {
        self.inner.declare(topology).await
    }

    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        let refused =
            |outgoing: &Outgoing| outgoing.exchange == Exchange::Replies && !self.takes_replies.load(Ordering::Relaxed);
        if batch.iter().any(refused) {
            let no = PublishError::Unavailable { detail: "as the test wishes".to_owned() };
            return vec![Err(no); batch.len()];
        }
        let full = |outgoing: &Outgoing| self.full.get().is_some_and(|full| *full == outgoing.routing_key);
        let refused: Vec<bool> = batch.iter().map(full).collect();
        let taken = batch.into_iter().zip(&refused).filter(|(_, refused)| !**refused).map(|(outgoing, _)| outgoing);
        let mut results = self.inner.publish(taken.collect()).await.into_iter();
        let no = PublishError::NotConfirmed { exchange: Exchange::Replies, routing_key: "full".to_owned() };
        let answer = |refused| if refused { Some(Err(no.clone())) } else { results.next() };
        refused.into_iter().filter_map(answer).collect()
    }

    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Subscription, BrokerError> {
        self.inner.subscribe(queue, prefetch).await
    }

    fn state(&self) -> watch::Receiver<BrokerState> {
        self.inner.state()
    }

    async fn depth(&self, queue: &QueueName) -> Result<QueueDepth, BrokerError> {
        self.inner.depth(queue).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

async fn seats(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM seat").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_command_whose_reply_was_never_confirmed_comes_again_and_gets_the_stored_answer() {
    let broker = InProcessBroker::new();
    let choices = Choices { drain_max: Some(Duration::from_millis(100)), ..Choices::default() };
    let reluctant = Reluctant::of(&broker);
    let mut flow = Flow::start(reluctant, Arc::new(broker.another_client()), choices).await;
    let pool = PgPool::connect(&flow.database_url).await.unwrap();
    flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    eventually("the command is carried out", async || seats(&pool).await == 1).await;
    let dying = flow.hand_over(Arc::new(broker)).await;
    tokio::time::timeout(PATIENCE, dying.finished()).await.expect("a worker ends though its reply is not taken");
    assert!(matches!(flow.replies(1).await[0].outcome, Outcome::Done { .. }));
    assert_eq!(seats(&pool).await, 1);
    flow.stop().await;
}

#[tokio::test]
async fn replies_wait_for_a_broker_that_takes_none_and_commands_stay_unacknowledged() {
    const MANY: i64 = 300;
    let broker = InProcessBroker::new();
    let reluctant = Reluctant::of(&broker);
    let mut flow = Flow::start(reluctant.clone(), Arc::new(broker), Choices::default()).await;
    let pool = PgPool::connect(&flow.database_url).await.unwrap();
    for _ in 0..MANY {
        flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    }
    eventually("the commands are carried out", async || seats(&pool).await == MANY).await;
    reluctant.takes_replies.store(true, Ordering::Relaxed);
    let replies = flow.replies(usize::try_from(MANY).unwrap()).await;
    assert!(replies.iter().all(|reply| matches!(reply.outcome, Outcome::Done { .. })));
    assert_eq!(seats(&pool).await, MANY);
    flow.stop().await;
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_answered_as_it_was_and_tells_its_event() {
    const LOCK: i64 = 0x006c_6f73_7421;
    let proxy = proxy().await;
    let broker = InProcessBroker::new();
    let choices = Choices { through: Some(&|url| proxy.through(url)), ..Choices::default() };
    let mut flow = Flow::start(Arc::new(broker.another_client()), Arc::new(broker), choices).await;
    let pool = PgPool::connect(&flow.database_url).await.unwrap();
    // Between the COMMIT's arrival at the server and its effect.
    for statement in [
        "CREATE FUNCTION wait_before_commit() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM set_config('lock_timeout', '0', true);
             PERFORM pg_advisory_xact_lock_shared(x'6c6f737421'::bigint);
             RETURN NEW;
         END $$",
        "CREATE CONSTRAINT TRIGGER wait_before_commit AFTER INSERT ON runtime.inbox
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_before_commit()",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let mut holder = PgConnection::connect(&flow.database_url).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut holder).await.unwrap();
    flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    eventually("the commit waits", async || {
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock' AND query = 'COMMIT')";
        sqlx::query_scalar::<_, bool>(waits).fetch_one(&pool).await.unwrap()
    })
    .await;
    proxy.set(Way::Cut);
    let readiness = flow.worker.readiness().clone();
    eventually("the loss is noticed", async || !readiness.missing().is_empty()).await;
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(LOCK).execute(&mut holder).await.unwrap();
    eventually("it is committed", async || seats(&pool).await == 1).await;
    proxy.set(Way::Open);

    assert!(matches!(flow.replies(1).await[0].outcome, Outcome::Done { .. }));
    assert_eq!(seats(&pool).await, 1);
    // No other command comes by to take the event along.
    let mut events = flow.broker.subscribe(&QueueName::events("test"), 10).await.unwrap();
    take_from(&mut events, 1, "events").await;
    flow.stop().await;
}

#[tokio::test]
async fn a_worker_ends_in_time_though_its_database_does_not_answer_and_gives_back_what_it_held() {
    let proxy = proxy().await;
    let broker = InProcessBroker::new();
    let choices = Choices { through: Some(&|url| proxy.through(url)), drain_max: Some(Duration::from_millis(100)) };
    let flow = Flow::start(Arc::new(broker.another_client()), Arc::new(broker), choices).await;
    let pool = PgPool::connect(&flow.database_url).await.unwrap();
    let mut holder = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE runtime.inbox").execute(&mut *holder).await.unwrap();
    flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    eventually("the command is at work", async || {
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                     AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO runtime.inbox%')";
        sqlx::query_scalar::<_, bool>(waits).fetch_one(&pool).await.unwrap()
    })
    .await;
    proxy.set(Way::Frozen);
    flow.token.cancel();
    tokio::time::timeout(PATIENCE, flow.worker.finished()).await.expect("the worker ends");
    assert_eq!(commands_left_alone(flow.broker.as_ref()).await, 1);
}

#[tokio::test]
async fn an_outage_of_the_database_delays_answers_and_causes_no_faults() {
    let proxy = proxy().await;
    let broker = InProcessBroker::new();
    let choices = Choices { through: Some(&|url| proxy.through(url)), ..Choices::default() };
    let mut flow = Flow::start(Arc::new(broker.another_client()), Arc::new(broker), choices).await;
    flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    assert!(matches!(flow.replies(1).await[0].outcome, Outcome::Done { .. }));

    // Noticed before anybody asks it anything.
    proxy.set(Way::Cut);
    let readiness = flow.worker.readiness().clone();
    eventually("the database is named as missing", async || readiness.missing().contains_key("database flights")).await;
    for _ in 0..300 {
        flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    }
    proxy.set(Way::Open);
    let replies = flow.replies(300).await;
    let bad: Vec<_> = replies.iter().filter(|reply| !matches!(reply.outcome, Outcome::Done { .. })).collect();
    assert!(bad.is_empty(), "{bad:?}");
    eventually("nothing is missing", async || readiness.missing().is_empty()).await;
    flow.token.cancel();
    flow.worker.finished().await;
}

#[tokio::test]
async fn connections_killed_in_the_middle_of_work_lose_nothing_and_double_nothing() {
    const MANY: usize = 2000;
    let mut flow = Flow::in_process().await;
    let pool = sqlx::PgPool::connect(&flow.database_url).await.unwrap();
    let killer = tokio::spawn({
        let pool = pool.clone();
        async move {
            for kill in 0..60 {
                sqlx::query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'sojourn'",
                )
                .execute(&pool)
                .await
                .ok();
                // At ever other moments of a transaction, and not so often that none gets through.
                tokio::time::sleep(std::time::Duration::from_millis(10 + kill * 37 % 120)).await;
            }
        }
    });
    for _ in 0..MANY {
        flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    }
    let replies = flow.replies(MANY).await;
    killer.abort();
    let bad: Vec<_> = replies.iter().filter(|reply| !matches!(reply.outcome, Outcome::Done { .. })).collect();
    assert!(bad.is_empty(), "{} of them, such as {:?}", bad.len(), bad.first());
    let seats: i64 = sqlx::query_scalar("SELECT count(*) FROM seat").fetch_one(&pool).await.unwrap();
    let taken: i32 =
        sqlx::query_scalar("SELECT taken FROM seat_pool WHERE pool = 'wide'").fetch_one(&pool).await.unwrap();
    assert_eq!((seats, taken), (2000, 2000));
    flow.token.cancel();
    flow.worker.finished().await;
}

#[tokio::test]
async fn a_command_that_ends_its_connections_is_left_to_the_delivery_limit_and_its_company_is_answered() {
    const MANY: usize = 60;
    let mut flow = Flow::in_process().await;
    let killer = TakeSeat { mode: Mode::KillConnection, ..take("wide") };
    let poison = action_of_a_new_saga("hold");
    for number in 0..MANY {
        if number == MANY / 2 {
            flow.send(&poison, 1, &killer).await;
        }
        flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    }
    let replies = flow.replies(MANY).await;
    assert!(replies.iter().all(|reply| matches!(reply.outcome, Outcome::Done { .. })), "{replies:?}");
    let letter = flow.dead(1).await.remove(0);
    assert_eq!(letter.dead_letter().unwrap().reason, headers::REASON_DELIVERY_LIMIT);
    // The domain goes on, and the database was never named as missing for long.
    flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    assert!(matches!(flow.replies(1).await[0].outcome, Outcome::Done { .. }));
    assert!(flow.worker.readiness().missing().is_empty());
    flow.stop().await;
}

#[tokio::test]
async fn a_reply_queue_that_takes_nothing_is_given_up_and_keeps_no_other_waiting() {
    const MANY: usize = 700;
    let broker = InProcessBroker::new();
    let reluctant = Reluctant::of(&broker);
    reluctant.takes_replies.store(true, Ordering::Relaxed);
    reluctant.refuses("replies.full");
    let mut flow = Flow::start(reluctant, Arc::new(broker), Choices::default()).await;
    for _ in 0..MANY {
        let mut unheard = envelope(&action_of_a_new_saga("hold"), &take("wide"));
        unheard.reply_to = "replies.full".to_owned();
        flow.send_bytes(serde_json::to_vec(&unheard).unwrap()).await;
        flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    }
    // More than may be unacknowledged at a time.
    assert!(MANY > usize::from(limits::PREFETCH_COMMANDS));
    flow.replies(MANY).await;
    let queue = QueueName::commands("flights");
    eventually("nothing waits", async || flow.broker.depth(&queue).await.unwrap().ready == 0).await;
    flow.stop().await;
}

#[tokio::test]
async fn reads_that_use_all_their_connections_are_busy_and_keep_no_command_waiting() {
    let mut flow = Flow::in_process().await;
    let pool = PgPool::connect(&flow.database_url).await.unwrap();
    let mut holder = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE visit").execute(&mut *holder).await.unwrap();
    let address = flow.worker.address().unwrap();
    let client = reqwest::Client::new();
    let visit = || client.post(format!("http://{address}/internal/flights/visits")).bearer_auth("token").send();
    let visits = join_all((0..limits::READ_CONNECTIONS_MAX + 1).map(|_| visit()));
    let commands = async {
        flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
        assert!(matches!(flow.replies(1).await[0].outcome, Outcome::Done { .. }));
        assert!(flow.worker.readiness().missing().is_empty());
    };
    let (visits, ()) = tokio::join!(visits, commands);
    let busy = visits.into_iter().map(|visit| visit.unwrap()).filter(|visit| visit.status().as_u16() == 503);
    let mut codes = Vec::new();
    for visit in busy {
        codes.push(visit.json::<serde_json::Value>().await.unwrap()["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes, ["busy"]);
    holder.rollback().await.unwrap();
    flow.stop().await;
}
