//! Outages that cost time and nothing else: domains that are away, a broker that takes nothing, a journal that stalls,
//! clocks that are set. The definitions' times are divided, so that a quarter of an hour is some fifteen seconds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use chrono::{DateTime, Days, Utc};
use contract::{SagaId, orchestrator_api::SagaView};
use e2e::{Client, Part, System, order_of, wait};
use futures::{StreamExt, stream};
use kit::clock::Clock;
use serde_json::Value;
use sqlx::Executor as _;
use tokio::time::Instant;

/// Ten minutes are ten seconds, a reply is due within 167 milliseconds.
const TIMES_DIVISOR: &str = "--times-divisor=60";

/// For the stall of a journal: ten minutes are one, a reply is due within a second.
const TIMES_DIVISOR_OF_STALL: &str = "--times-divisor=10";

const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// How long an alarm may take: the wall clock is looked at every five seconds.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// Orders that are placed at once.
const PLACED_AT_ONCE: usize = 8;

const ORCHESTRATORS: [&str; 2] = ["orchestrator-1", "orchestrator-2"];

/// All shards of the system.
const SHARDS: usize = 4;

/// The copies of commands that probes add to a queue, over all shards, with room to spare: a quarter of an hour has six
/// a shard.
const PROBES_MAX: u64 = 4 * 10;

/// The orders that wait for a domain, and those of them that come through the door.
const AWAY: usize = 300;
const AWAY_PLACED: usize = 40;
/// So many start at the orchestrators themselves before their commands stand: the door may know only one of them as
/// ready yet, and every shard is to have some.
const AWAY_STARTED: usize = 40;

/// The orders that are under way when the journal stalls.
const STALLED: usize = 400;

/// The journal's stall: four reply times.
const STALL: Duration = Duration::from_secs(4);

/// A time that cannot be an alarm's, in seconds since 1970: 2025.
const A_RECENT_SECOND: u64 = 1_735_689_600;

const NOTICES_FAIL: &str = "
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'as the test wishes'; END $$;
    CREATE TRIGGER fails BEFORE INSERT ON notice FOR EACH ROW EXECUTE FUNCTION fail()";

/// Attempts that were sent before a time and whose reply was called missing.
const REPLIES_MISSING: &str = "
    SELECT count(*)
    FROM saga_journal failed, json_array_elements(CASE json_typeof(failed.entries) WHEN 'object' THEN failed.entries->'entries' ELSE failed.entries END) failure,
         saga_journal sent, json_array_elements(CASE json_typeof(sent.entries) WHEN 'object' THEN sent.entries->'entries' ELSE sent.entries END) sending
    WHERE failure->>'code' = 'reply_missing' AND sent.saga_id = failed.saga_id AND sent.at < $1
      AND sending->>'entry' = 'command_dispatched' AND sending->>'step' = failure->>'step'
      AND sending->>'op' = failure->>'op' AND sending->>'attempt' = failure->>'attempt'";

#[tokio::test(flavor = "multi_thread")]
async fn domains_that_are_away_or_fail_cost_time_and_no_attempt() {
    let mut system = System::start_with_orchestrators(&[TIMES_DIVISOR]).await.unwrap();
    system.enlarge_flights().await.unwrap();
    let client = system.client("ada").await.unwrap();
    let trips = Trips::find(&client).await;

    // One domain before the pivot, and one past it; the door asks neither of them.
    system.kill(Part::Program("payment"));
    system.kill(Part::Program("feed"));
    let mut orders = trips.place(&client, "away", AWAY_PLACED).await;
    orders.extend(trips.place_more(&client, &system, "the first of some", AWAY_STARTED).await);
    until_all_stand(&system, "payment").await;
    let under_way = depth(&system, "commands.payment").await;
    orders.extend(trips.place_more(&client, &system, "the first of many", AWAY - AWAY_PLACED - AWAY_STARTED).await);
    let sagas = sagas_of(&system, &orders).await;
    until_their_deadlines_have_passed(&system, &sagas).await;
    let waiting = depth(&system, "commands.payment").await;
    println!("{under_way} commands waited when their domain was found silent, {waiting} in the end");
    assert!(waiting <= under_way + PROBES_MAX, "{under_way} commands and {waiting} copies");
    have_lost_no_attempt(&system, &sagas, "authorize-payment").await;
    system.revive("payment").await.unwrap();
    until_confirmed(&client, &system, &orders).await;

    // What must succeed in the end fails for a while.
    let mut feed = system.database("sojourn_feed").await.unwrap();
    feed.execute(NOTICES_FAIL).await.unwrap();
    system.revive("feed").await.unwrap();
    until_told(&system, "sojourn_orchestrator_retrying_since_seconds", &[], |since| since > A_RECENT_SECOND).await;
    until_told(&system, "sojourn_orchestrator_sagas_retrying", &[], |sagas| sagas > 0).await;
    feed.execute("DROP TRIGGER fails ON notice").await.unwrap();
    until_audited(&system, AWAY).await;
    until_told(&system, "sojourn_orchestrator_retrying_since_seconds", &[], |since| since == 0).await;
    assert_eq!(system.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_or_a_queue_that_takes_nothing_costs_time_and_no_attempt() {
    let mut system = System::start_with_orchestrators(&[TIMES_DIVISOR]).await.unwrap();
    system.enlarge_flights().await.unwrap();
    let client = system.client("ada").await.unwrap();
    let trips = Trips::find(&client).await;

    // The broker's memory alarm, while all wait for their payment.
    system.kill(Part::Program("payment"));
    let blocked = trips.place(&client, "blocked", 20).await;
    let sagas = sagas_of(&system, &blocked).await;
    system.rabbitmqctl(&["set_vm_memory_high_watermark", "absolute", "1024"]).await.unwrap();
    until_blocked(&client, &system, &trips, &sagas[0].to_string()).await;
    until_their_deadlines_have_passed(&system, &sagas).await;
    system.rabbitmqctl(&["set_vm_memory_high_watermark", "0.6"]).await.unwrap();
    system.revive("payment").await.unwrap();
    until_confirmed(&client, &system, &blocked).await;

    // A queue at its limit, while its domain works.
    let full = r#"{"max-length":0,"overflow":"reject-publish"}"#;
    system.rabbitmqctl(&["set_policy", "full", "^commands.flights$", full, "--apply-to", "queues"]).await.unwrap();
    let mut refused = trips.place(&client, "refused", 20).await;
    refused.extend(trips.place_more(&client, &system, "the first of some", 20).await);
    let sagas = sagas_of(&system, &refused).await;
    until_all_stand(&system, "flights").await;
    until_told(&system, "sojourn_orchestrator_publish_failures_total", &["not_confirmed"], |count| count > 0).await;
    until_told(&system, "sojourn_orchestrator_sagas_standing", &[], |sagas| sagas > 0).await;
    until_their_deadlines_have_passed(&system, &sagas).await;
    have_lost_no_attempt(&system, &sagas, "hold-seats").await;
    system.rabbitmqctl(&["clear_policy", "full"]).await.unwrap();
    until_confirmed(&client, &system, &refused).await;

    until_audited(&system, blocked.len() + refused.len()).await;
    assert_eq!(system.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_set_and_a_journal_that_stalls_turn_nothing_around() {
    let mut system = System::start_with_orchestrators(&[TIMES_DIVISOR_OF_STALL]).await.unwrap();
    system.enlarge_flights().await.unwrap();
    let client = system.client("ada").await.unwrap();
    let trips = Trips::find(&client).await;

    // A worker's clock is ahead by more than any deadline; the orchestrators' are set forward and back meanwhile.
    system.set_clock("flights", 90).unwrap();
    system.kill(Part::Program("payment"));
    let mut orders = trips.place(&client, "clocks", 20).await;
    until_told(&system, "sojourn_orchestrator_clock_skew_total", &["route=\"flights\""], |count| count > 0).await;
    for (seconds, direction) in [(600, "forward"), (-600, "back"), (0, "forward")] {
        let told = steps_told(&system, direction).await.unwrap();
        ORCHESTRATORS.into_iter().for_each(|orchestrator| system.set_clock(orchestrator, seconds).unwrap());
        wait::until("an alarm of both", TOLD_WITHIN, || async {
            let now = steps_told(&system, direction).await?;
            if now == told + ORCHESTRATORS.len() as u64 { Ok(()) } else { Err(format!("{now} steps {direction}")) }
        })
        .await;
    }
    system.revive("payment").await.unwrap();
    until_confirmed(&client, &system, &orders).await;
    system.set_clock("flights", 0).unwrap();

    // Nothing can be appended while many replies arrive.
    orders.extend(trips.place_more(&client, &system, "the first of many", STALLED).await);
    let mut journal = system.database("sojourn_orchestrator").await.unwrap();
    let mut lock = sqlx::Connection::begin(&mut journal).await.unwrap();
    sqlx::query("LOCK TABLE saga_journal IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let end = Instant::now() + STALL;
    let under_way = system.metric_of_orchestrators("sojourn_orchestrator_commands_under_way", &[]).await.unwrap();
    println!("{under_way:?} commands of {STALLED} orders were under way when the journal stalled");
    wait::until("the end of the stall", STALL * 2, || async {
        if Instant::now() > end { Ok(()) } else { Err("it stalls".to_owned()) }
    })
    .await;
    let stalled_until = kit::clock::SystemClock.now();
    lock.rollback().await.unwrap();
    until_confirmed(&client, &system, &orders).await;
    let missing: i64 = sqlx::query_scalar(REPLIES_MISSING).bind(stalled_until).fetch_one(&mut journal).await.unwrap();
    assert_eq!(missing, 0, "replies that lay unread were called missing");

    until_audited(&system, orders.len()).await;
    assert_eq!(system.panics(), Vec::<String>::new());
}

/// The steps of the wall clock that the orchestrators have told of.
async fn steps_told(system: &System, direction: &str) -> Result<u64, String> {
    let told = system.metric_of_orchestrators("sojourn_orchestrator_clock_steps_total", &[direction]).await?;
    Ok(told.into_iter().sum())
}

/// Waits until a metric of an orchestrator has such a value.
async fn until_told(system: &System, name: &str, labels: &[&str], such: impl Fn(u64) -> bool) {
    wait::until(name, TOLD_WITHIN, || async {
        let values = system.metric_of_orchestrators(name, labels).await?;
        if values.iter().any(|value| such(*value)) { Ok(()) } else { Err(format!("{labels:?} {values:?}")) }
    })
    .await;
}

/// Waits until no shard sends commands to a domain.
async fn until_all_stand(system: &System, route: &str) {
    wait::until(&format!("open circuits of {route}"), TOLD_WITHIN, || async {
        let label = format!("route=\"{route}\"");
        let since =
            system.metric_of_orchestrators("sojourn_orchestrator_circuit_open_since_seconds", &[&label]).await?;
        let open = since.iter().filter(|since| **since > 0).count();
        if open == SHARDS { Ok(()) } else { Err(format!("{open} of {SHARDS}\n{}", system.logs())) }
    })
    .await;
}

/// Waits until the orchestrators say of the broker's alarm whatever can be said: readiness, metrics, and to new orders.
async fn until_blocked(client: &Client, system: &System, trips: &Trips, saga: &str) {
    for orchestrator in ORCHESTRATORS {
        wait::until("blocked", TOLD_WITHIN, || async {
            let address = format!("{}/ready", system.address(orchestrator));
            let ready = reqwest::get(address).await.map_err(|error| error.to_string())?;
            let status = ready.status();
            let why = ready.text().await.map_err(|error| error.to_string())?;
            if status == 503 && why.contains("the broker is blocked") { Ok(()) } else { Err(why) }
        })
        .await;
        let blocked = system.metric(orchestrator, "sojourn_messaging_blocked_connections", &[]).await.unwrap();
        assert!(blocked.contains(&1), "{orchestrator}: {blocked:?}");
    }
    let refused = client.order("while the broker is blocked", &order_of(&[&trips.flight], "tok_ok")).await.unwrap();
    assert_eq!(refused.status, 503, "{refused:?}");
    // The gateway may have seen that no orchestrator is ready, and not have asked one.
    let refused = system.order_again(saga, 1).await.unwrap_err();
    assert!(format!("{refused:#}").contains("broker_blocked"), "{refused:#}");
    until_told(system, "sojourn_orchestrator_starts_not_admitted_total", &["broker_blocked"], |count| count > 0).await;
}

/// How many messages a queue holds.
async fn depth(system: &System, queue: &str) -> u64 {
    system.queues().await.unwrap()[queue]
}

/// All of them go forward, and a step of theirs was sent once.
async fn have_lost_no_attempt(system: &System, sagas: &[SagaId], step: &str) {
    for saga in sagas {
        let view = view(system, *saga).await;
        assert_eq!(view.cause, None, "{view:?}");
        let attempts = view.steps.iter().find(|known| known.name.as_str() == step).unwrap().attempts;
        assert_eq!(attempts, 1, "{step} without an answer: {view:?}");
    }
}

/// Offers to order.
struct Trips {
    flight: Value,
    /// One for each of some days, because a property has few villas.
    stays: Vec<Value>,
}

impl Trips {
    async fn find(client: &Client) -> Self {
        let day = |days| kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(days)).unwrap();
        let flight = client.flight("LHR", "MLE", day(20), "economy", 1).await.unwrap();
        let mut stays = Vec::new();
        for days in 21..41 {
            stays.push(client.stay("Maldives", day(days), day(days + 2), 1).await.unwrap());
        }
        Self { flight, stays }
    }

    /// Places good orders, every second one with a stay; answers their ids.
    async fn place(&self, client: &Client, name: &str, count: usize) -> Vec<String> {
        let orders = stream::iter(0..count).map(|number| async move {
            let stay = &self.stays[number / 2 % self.stays.len()];
            let trip = if number.is_multiple_of(2) { vec![&self.flight, stay] } else { vec![&self.flight] };
            let accepted =
                client.order_surely(&format!("{name}-{number}"), &order_of(&trip, "tok_ok"), SETTLED_WITHIN).await;
            let order_id = accepted.body["order_id"].as_str();
            order_id.unwrap_or_else(|| panic!("{name}-{number}: {accepted:?}")).to_owned()
        });
        orders.buffer_unordered(PLACED_AT_ONCE).collect().await
    }

    /// Places many orders of a flight at once; answers their ids.
    async fn place_more(&self, client: &Client, system: &System, key: &str, count: usize) -> Vec<String> {
        let (first, saga) = client.place(key, &order_of(&[&self.flight], "tok_ok")).await.unwrap();
        let mut orders = system.order_again(&saga, count - 1).await.unwrap();
        orders.push(first);
        orders
    }
}

async fn sagas_of(system: &System, orders: &[String]) -> Vec<SagaId> {
    let mut journal = system.database("sojourn_orchestrator").await.unwrap();
    let sagas: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT id FROM saga WHERE business_key = ANY($1)")
        .bind(orders)
        .fetch_all(&mut journal)
        .await
        .unwrap();
    assert_eq!(sagas.len(), orders.len());
    sagas.into_iter().map(SagaId::from_uuid).collect()
}

async fn view(system: &System, saga: SagaId) -> SagaView {
    let answer = system.internal("orchestrator-1").get(&format!("/api/sagas/{saga}")).await.unwrap();
    serde_json::from_value(answer.body).unwrap()
}

/// Waits until every one of them would have been turned around by the wall clock.
async fn until_their_deadlines_have_passed(system: &System, sagas: &[SagaId]) {
    let mut last = DateTime::<Utc>::MIN_UTC;
    for saga in sagas {
        last = last.max(view(system, *saga).await.deadline_at.unwrap());
    }
    wait::until("the deadlines", Duration::from_secs(60), || async {
        if kit::clock::SystemClock.now() > last + Duration::from_secs(1) { Ok(()) } else { Err(format!("{last}")) }
    })
    .await;
}

async fn until_confirmed(client: &Client, system: &System, orders: &[String]) {
    for order in orders {
        let settled = client.until_settled(order, SETTLED_WITHIN).await;
        assert_eq!(settled["status"], "confirmed", "{settled}\n{}", system.logs());
    }
}

async fn until_audited(system: &System, orders: usize) {
    let tally = wait::until("agreeing books", Duration::from_secs(60), || async {
        system.audit().await.map_err(|error| format!("{error:#}"))
    })
    .await;
    assert_eq!((tally.confirmed, tally.rejected), (orders, 0));
}
