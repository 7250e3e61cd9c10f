//! A rolling upgrade: earlier and later orchestrators and workers side by side under orders of both versions. An earlier
//! program leaves alone what it does not understand, a later one takes it up, and nothing is lost or done twice.
//!
//! An earlier program is the present one by a setting, under which it knows only the first versions of definitions and
//! commands.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use chrono::{Days, NaiveDate};
use e2e::{Client, Part, System, order_of, wait};
use futures::future::join_all;
use kit::clock::Clock;
use serde_json::Value;

const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// The orders of each version in each part of the test.
const ORDERS: usize = 12;

/// The setting that makes an orchestrator an earlier one.
const DEFINITIONS: &str = "--definitions-up-to";

/// Workers of an earlier program, beside those of the later one: of domains that have commands of two versions.
const EARLIER_WORKERS: [(&str, &str); 2] = [("earlier-order", "order"), ("earlier-payment", "payment")];

fn in_days(days: u64) -> NaiveDate {
    kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(days)).unwrap()
}

/// Places orders of the present version at the door; their ids.
async fn place(client: &Client, offer: &Value, part: &str) -> Vec<String> {
    let orders = (0..ORDERS).map(|number| async move {
        client.place(&format!("{part}-{number}"), &order_of(&[offer], "tok_ok")).await.unwrap().0
    });
    join_all(orders).await
}

async fn are_confirmed(client: &Client, orders: &[String]) {
    for order in join_all(orders.iter().map(|order| client.until_settled(order, SETTLED_WITHIN))).await {
        assert_eq!(order["status"], "confirmed", "{order}");
    }
}

/// Waits until this orchestrator leaves so many sagas alone because it does not know their definition.
async fn leaves_alone(system: &System, orchestrator: &str, sagas: usize) {
    let asked = system.internal(orchestrator);
    wait::until("sagas that are left alone", SETTLED_WITHIN, || async {
        let page = asked.get("/api/quarantine").await.map_err(|error| format!("{error:#}"))?.body;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        let unknown = items.iter().filter(|saga| saga["code"] == "definition_unknown").count();
        if (unknown, items.len()) == (sagas, sagas) { Ok(()) } else { Err(page.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_and_later_programs_side_by_side_lose_nothing() {
    let mut system = System::start().await.unwrap();
    let client = system.client("ada").await.unwrap();
    let flight = client.flight("LHR", "MLE", in_days(40), "business", 1).await.unwrap();
    system.enlarge_flights().await.unwrap();
    let (first, saga) = client.place("first", &order_of(&[&flight], "tok_ok")).await.unwrap();
    are_confirmed(&client, &[first]).await;

    // One of two orchestrators, and half of the workers of two domains, are of an earlier program.
    system.program("orchestrator-2").terminate(ENDS_WITHIN).await.unwrap();
    system.program("orchestrator-2").set(DEFINITIONS, Some("1"));
    system.revive("orchestrator-2").await.unwrap();
    for (name, domain) in EARLIER_WORKERS {
        system.add(name, "worker", &[domain, "--commands-up-to=1"]).await.unwrap();
    }
    let (later, at_later, at_earlier) = tokio::join!(
        place(&client, &flight, "together"),
        system.order_as_before(&saga, ORDERS, "orchestrator-1"),
        system.order_as_before(&saga, ORDERS, "orchestrator-2"),
    );
    let all = [later, at_later.unwrap(), at_earlier.unwrap()].concat();
    are_confirmed(&client, &all).await;

    // Orders of both versions are under way when the later orchestrator dies.
    system.kill(Part::Program("payment"));
    system.kill(Part::Program("earlier-payment"));
    let (later, before) =
        tokio::join!(place(&client, &flight, "apart"), system.order_as_before(&saga, ORDERS, "orchestrator-1"));
    let before = before.unwrap();
    system.kill(Part::Program("orchestrator-1"));
    leaves_alone(&system, "orchestrator-2", ORDERS).await;
    system.revive("payment").await.unwrap();
    system.revive("earlier-payment").await.unwrap();
    are_confirmed(&client, &before).await;
    for order in &later {
        let order = client.get(&format!("/v1/orders/{order}")).await.unwrap().body;
        assert_eq!(order["status"], "pending", "no program that knows it is there: {order}");
    }

    // The upgrade goes on: what was left alone is taken up.
    system.program("orchestrator-2").terminate(ENDS_WITHIN).await.unwrap();
    system.program("orchestrator-2").set(DEFINITIONS, None);
    system.revive("orchestrator-2").await.unwrap();
    for (name, _) in EARLIER_WORKERS {
        system.program(name).terminate(ENDS_WITHIN).await.unwrap();
    }
    are_confirmed(&client, &later).await;
    leaves_alone(&system, "orchestrator-2", 0).await;
    system.revive("orchestrator-1").await.unwrap();

    // What an earlier program could not read is kept among the dead letters, and was sent again since.
    system.until_queues_are_empty(SETTLED_WITHIN).await;
    let mut journal = system.database("sojourn_orchestrator").await.unwrap();
    sqlx::query("DELETE FROM dead_letter").execute(&mut journal).await.unwrap();
    let tally = wait::until("agreeing books", SETTLED_WITHIN, || async {
        system.audit().await.map_err(|error| format!("{error:#}"))
    })
    .await;
    assert_eq!((tally.confirmed, tally.rejected), (1 + 5 * ORDERS, 0));
    assert_eq!(system.panics(), Vec::<String>::new());
}
