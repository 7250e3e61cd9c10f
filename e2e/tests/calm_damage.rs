//! A page of the table of sagas that cannot be read any more: the sagas on it are set aside, and all others go on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeSet, path::Path, time::Duration};

use chrono::Days;
use contract::SagaId;
use e2e::{Part, System, order_of, wait};
use futures::{StreamExt, stream};
use kit::clock::Clock;
use sqlx::Executor;
use uuid::Uuid;

/// More than the sagas of one page.
const ORDERS: usize = 60;

/// Orders that are placed at once.
const PLACED_AT_ONCE: usize = 8;

const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// The bytes of a page.
const PAGE_BYTES: usize = 8192;

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_of_sagas_costs_these_sagas_and_no_other() {
    let mut system = System::start().await.unwrap();
    let client = system.client("ada").await.unwrap();
    let day = kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(20)).unwrap();
    let flight = client.flight("LHR", "MLE", day, "economy", 1).await.unwrap();
    // All of them wait for their payment, and nothing is written.
    system.kill(Part::Program("payment"));
    let orders = stream::iter(0..ORDERS).map(|number| {
        let (client, order) = (&client, order_of(&[&flight], "tok_ok"));
        async move { client.place(&format!("damage-{number}"), &order).await.unwrap().0 }
    });
    let orders: Vec<String> = orders.buffer_unordered(PLACED_AT_ONCE).collect().await;
    until_all_wait(&system).await;

    let (file, sagas) = first_page(&system).await;
    let on_page = |order: &String| sagas.iter().any(|(_, key)| key == order);
    let (damaged, whole): (Vec<_>, Vec<_>) = orders.into_iter().partition(on_page);
    assert!(!damaged.is_empty() && !whole.is_empty(), "{} and {}", damaged.len(), whole.len());
    system.kill(Part::PostgreSql);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[..PAGE_BYTES].fill(0xdb);
    std::fs::write(&file, bytes).unwrap();
    system.restart(Part::PostgreSql).await.unwrap();

    let expected: BTreeSet<SagaId> = sagas.iter().map(|(id, _)| SagaId::from_uuid(*id)).collect();
    wait::until("the damaged sagas in quarantine", SETTLED_WITHIN, || async {
        let answer = system.internal("orchestrator-1").get("/api/quarantine?page_size=100").await;
        let answer = answer.map_err(|error| format!("{error:#}"))?;
        let items = answer.body["items"].as_array().ok_or_else(|| answer.body.to_string())?;
        let listed = items.iter().filter(|item| item["code"] == "journal_damaged");
        let listed: BTreeSet<SagaId> =
            listed.map(|item| serde_json::from_value(item["saga_id"].clone()).unwrap()).collect();
        if listed == expected { Ok(()) } else { Err(format!("{listed:?}, and not {expected:?}")) }
    })
    .await;
    system.revive("payment").await.unwrap();
    for order in &whole {
        let settled = client.until_settled(order, SETTLED_WITHIN).await;
        assert_eq!(settled["status"], "confirmed", "{settled}");
    }
    // New ones are taken as before.
    let (order, _) = client.place("after", &order_of(&[&flight], "tok_ok")).await.unwrap();
    assert_eq!(client.until_settled(&order, SETTLED_WITHIN).await["status"], "confirmed");
    assert_eq!(system.panics(), Vec::<String>::new());
}

/// Waits until every order's saga has asked for its payment.
async fn until_all_wait(system: &System) {
    wait::until("orders that wait for their payment", SETTLED_WITHIN, || async {
        let asked = "SELECT count(DISTINCT saga_id) FROM saga_journal WHERE entries::text LIKE '%authorize-payment%'";
        let mut journal = system.database("sojourn_orchestrator").await.map_err(|error| format!("{error:#}"))?;
        let asked: i64 = sqlx::query_scalar(asked).fetch_one(&mut journal).await.map_err(|error| error.to_string())?;
        if usize::try_from(asked) == Ok(ORDERS) { Ok(()) } else { Err(format!("{asked} of {ORDERS}")) }
    })
    .await;
}

/// The file of this week's sagas, and the open sagas on its first page with their orders. The page lies on the disk then.
async fn first_page(system: &System) -> (std::path::PathBuf, Vec<(Uuid, String)>) {
    let mut journal = system.database("sojourn_orchestrator").await.unwrap();
    let place: (String, String) = sqlx::query_as(
        "SELECT current_setting('data_directory'), pg_relation_filepath(tableoid::regclass) FROM saga LIMIT 1",
    )
    .fetch_one(&mut journal)
    .await
    .unwrap();
    let sagas = "SELECT id, business_key FROM saga WHERE ctid < '(1,0)' AND finished_at IS NULL";
    let sagas = sqlx::query_as(sagas).fetch_all(&mut journal).await.unwrap();
    journal.execute("CHECKPOINT").await.unwrap();
    (Path::new(&place.0).join(place.1), sagas)
}
