//! One of two orchestrators is cut off from the broker alone, or stopped: the other one serves all shards within fifteen
//! seconds, nothing is done twice, and the first one comes back without churn.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use chrono::{Days, NaiveDate};
use e2e::{Client, System, Way, order_of, wait};
use futures::future::join_all;
use kit::clock::Clock;
use serde_json::Value;

/// The victim, whose way to the broker can be cut.
const VICTIM: &str = "orchestrator-2";
const PEER: &str = "orchestrator-1";

/// All shards of the system, of which each orchestrator has half.
const SHARDS: u64 = 4;

/// Orders under way at each blow; they are spread over all shards.
const ORDERS: usize = 12;

/// How long a shard may stand still (S31).
const SERVED_WITHIN: Duration = Duration::from_secs(15);

/// How long the orders take from then on, on a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// The blow that the victim is dealt.
#[derive(Debug, Clone, Copy)]
enum Blow {
    Cut(Way),
    Stopped,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_that_is_cut_off_or_stopped_is_served_for_by_its_peer_and_comes_back() {
    let mut system = System::start_with_way(VICTIM).await.unwrap();
    let client = system.client("ada").await.unwrap();
    let flight = client.flight("LHR", "MLE", in_days(30), "business", 1).await.unwrap();
    let mut owners = until_balanced(&system).await;
    let blows = [Blow::Cut(Way::Cut), Blow::Cut(Way::Frozen), Blow::Stopped];
    for (number, blow) in blows.into_iter().enumerate() {
        let orders = place(&client, number, &flight).await;
        strike(&mut system, blow);
        wait::until(&format!("{blow:?}: all shards at the peer"), SERVED_WITHIN, || async {
            let owned = owned(&system, PEER).await?;
            if owned == SHARDS { Ok(()) } else { Err(format!("{owned} shards")) }
        })
        .await;
        join_all(orders.iter().map(|order| client.until_settled(order, SETTLED_WITHIN))).await;
        lift(&mut system, blow);
        let before = owners;
        owners = until_balanced(&system).await;
        // Half of the shards went to the peer and came back, each once.
        assert_eq!(owners - before, SHARDS.cast_signed(), "{blow:?}");
    }
    system.until_queues_are_empty(Duration::from_secs(30)).await;
    let tally = wait::until("agreeing books", Duration::from_secs(30), || async {
        system.audit().await.map_err(|error| format!("{error:#}"))
    })
    .await;
    assert_eq!(tally.confirmed, blows.len() * ORDERS, "{tally:?}");
    assert_eq!(system.panics(), Vec::<String>::new());
}

async fn place(client: &Client, round: usize, flight: &Value) -> Vec<String> {
    let order = order_of(&[flight], "tok_ok");
    let placed = join_all((0..ORDERS).map(|number| {
        let (key, order) = (format!("round-{round}-{number}"), &order);
        async move { client.place(&key, order).await }
    }));
    placed.await.into_iter().map(|placed| placed.unwrap().0).collect()
}

fn strike(system: &mut System, blow: Blow) {
    match blow {
        Blow::Cut(way) => system.way().set(way),
        Blow::Stopped => system.program(VICTIM).signal("-STOP").unwrap(),
    }
}

fn lift(system: &mut System, blow: Blow) {
    match blow {
        Blow::Cut(_) => system.way().set(Way::Open),
        Blow::Stopped => system.program(VICTIM).signal("-CONT").unwrap(),
    }
}

/// Waits until both have their share; how many owners all shards have had together by then.
async fn until_balanced(system: &System) -> i64 {
    wait::until("a fair share for both", Duration::from_secs(60), || async {
        let both = (owned(system, PEER).await?, owned(system, VICTIM).await?);
        if both == (SHARDS / 2, SHARDS / 2) { Ok(()) } else { Err(format!("{both:?}")) }
    })
    .await;
    let mut journal = system.database("sojourn_orchestrator").await.unwrap();
    sqlx::query_scalar("SELECT sum(epoch)::bigint FROM shard_owner").fetch_one(&mut journal).await.unwrap()
}

/// How many shards an orchestrator owns, by its own word.
async fn owned(system: &System, name: &str) -> Result<u64, String> {
    let owned = system.metric(name, "sojourn_orchestrator_shards_owned", &[]).await?;
    owned.first().copied().ok_or_else(|| "it does not say".to_owned())
}

/// So many days from today.
fn in_days(days: u64) -> NaiveDate {
    kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(days)).unwrap()
}
