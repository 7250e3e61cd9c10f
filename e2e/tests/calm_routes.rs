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

/// Ten minutes are ten seconds, a reply is due within 167 milliseconds.
const TIMES_DIVISOR: &str = "--times-divisor=60";

const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// Orders that are placed at once.
const PLACED_AT_ONCE: usize = 8;

/// The copies of commands that probes add to a queue, over all shards, with room to spare: a quarter of an hour has six
/// a shard.
const PROBES_MAX: u64 = 4 * 10;

#[tokio::test(flavor = "multi_thread")]
async fn domains_that_are_away_and_a_broker_that_takes_nothing_cost_time_and_no_attempt() {
    let mut system = System::start_with_orchestrators(&[TIMES_DIVISOR]).await.unwrap();
    let client = system.client("ada").await.unwrap();
    let trips = Trips::find(&client).await;

    // One domain before the pivot, and one past it; the door asks neither of them.
    system.kill(Part::Program("payment"));
    system.kill(Part::Program("feed"));
    let orders = trips.place(&client, "away", 40).await;
    let sagas = sagas_of(&system, &orders).await;
    until_their_deadlines_have_passed(&system, &sagas).await;
    for queue in ["commands.payment", "commands.feed"] {
        let depth = system.queues().await.unwrap()[queue];
        assert!(depth <= 40 + PROBES_MAX, "{queue} holds {depth} copies");
    }
    for saga in &sagas {
        let view = view(&system, *saga).await;
        assert_eq!(view.cause, None, "{view:?}");
        let attempts = view.steps.iter().find(|step| step.name.as_str() == "authorize-payment").unwrap().attempts;
        assert_eq!(attempts, 1, "without an answer");
    }
    system.revive("payment").await.unwrap();
    system.revive("feed").await.unwrap();
    until_confirmed(&client, &system, &orders).await;

    // The broker's memory alarm, while all wait for their payment.
    system.kill(Part::Program("payment"));
    let orders = trips.place(&client, "blocked", 20).await;
    let sagas = sagas_of(&system, &orders).await;
    system.rabbitmqctl(&["set_vm_memory_high_watermark", "absolute", "1024"]).await.unwrap();
    until_their_deadlines_have_passed(&system, &sagas).await;
    system.rabbitmqctl(&["set_vm_memory_high_watermark", "0.6"]).await.unwrap();
    system.revive("payment").await.unwrap();
    until_confirmed(&client, &system, &orders).await;

    until_audited(&system, 60).await;
    assert_eq!(system.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_set_and_a_journal_that_stalls_turn_nothing_around() {
    let mut system = System::start_with_orchestrators(&[TIMES_DIVISOR]).await.unwrap();
    let client = system.client("ada").await.unwrap();
    let trips = Trips::find(&client).await;

    // A worker's clock is ahead by more than any deadline; the orchestrators' are set forward and back meanwhile.
    system.set_clock("flights", 30).unwrap();
    system.kill(Part::Program("payment"));
    let orders = trips.place(&client, "clocks", 20).await;
    for seconds in [600, -600, 0] {
        for orchestrator in ["orchestrator-1", "orchestrator-2"] {
            let told = steps_told(&mut system, orchestrator);
            system.set_clock(orchestrator, seconds).unwrap();
            let program = &*system.program(orchestrator);
            wait::until("the alarm", Duration::from_secs(20), || async {
                let log = program.log();
                if log.matches("the wall clock was set").count() > told { Ok(()) } else { Err("no alarm".to_owned()) }
            })
            .await;
        }
    }
    system.revive("payment").await.unwrap();
    until_confirmed(&client, &system, &orders).await;
    system.set_clock("flights", 0).unwrap();

    // Nothing can be appended while many replies arrive.
    let mut journal = system.database("sojourn_orchestrator").await.unwrap();
    let placing = trips.place(&client, "stalled", 40);
    let stall = async {
        let mut lock = sqlx::Connection::begin(&mut journal).await.unwrap();
        sqlx::query("LOCK TABLE saga_journal IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
        let until = kit::clock::SystemClock.now() + Duration::from_secs(4);
        wait::until("the end of the stall", Duration::from_secs(10), || async {
            if kit::clock::SystemClock.now() > until { Ok(()) } else { Err("it stalls".to_owned()) }
        })
        .await;
        lock.rollback().await.unwrap();
    };
    let (orders, ()) = tokio::join!(placing, stall);
    until_confirmed(&client, &system, &orders).await;

    until_audited(&system, 60).await;
    assert_eq!(system.panics(), Vec::<String>::new());
}

fn steps_told(system: &mut System, orchestrator: &str) -> usize {
    system.program(orchestrator).log().matches("the wall clock was set").count()
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
