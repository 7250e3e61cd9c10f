//! Many sagas wait for a domain that is away, and both orchestrators are killed meanwhile: all sagas survive it, and all
//! end when their domain is back. `cargo xtask bench --recovery` measures the same with thousands in a release build.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use chrono::Days;
use e2e::{Part, System, order_of, wait};
use kit::clock::Clock;
use tokio::time::Instant;

/// As many as a debug build on two busy cores brings to their end in seconds; far more than the windows of all lanes.
const WAITING: usize = 600;

/// How long so many orders may take, on a busy machine, to a step and from it to their end.
const MOVED_WITHIN: Duration = Duration::from_secs(120);

const ORCHESTRATORS: [&str; 2] = ["orchestrator-1", "orchestrator-2"];

/// Orders of which nothing but the payment is under way: their last records hold the dispatch of it.
const WAITING_FOR_PAYMENT: &str = "
    SELECT count(DISTINCT saga_id) FROM saga_journal, json_array_elements(CASE json_typeof(entries) WHEN 'object' THEN entries->'entries' ELSE entries END) entry
    WHERE entry->>'entry' = 'command_dispatched' AND entry->>'step' = 'authorize-payment'";

const UNFINISHED: &str = "SELECT count(*) FROM saga WHERE finished_at IS NULL";

#[tokio::test(flavor = "multi_thread")]
async fn sagas_that_wait_survive_both_orchestrators_and_end_when_their_domain_is_back() {
    let mut system = System::start().await.unwrap();
    system.enlarge_flights().await.unwrap();
    let client = system.client("ada").await.unwrap();
    let day = kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(20)).unwrap();
    let flight = client.flight("LHR", "MLE", day, "economy", 1).await.unwrap();
    system.kill(Part::Program("payment"));
    let (_, first) = client.place("first", &order_of(&[&flight], "tok_ok")).await.unwrap();
    system.order_again(&first, WAITING - 1).await.unwrap();
    until_count(&system, "orders that wait for payment", WAITING_FOR_PAYMENT, WAITING).await;

    for orchestrator in ORCHESTRATORS {
        system.kill(Part::Program(orchestrator));
    }
    for orchestrator in ORCHESTRATORS {
        system.program(orchestrator).restart().unwrap();
    }
    for orchestrator in ORCHESTRATORS {
        system.until_ready(orchestrator).await;
    }
    until_count(&system, "orders that still wait", UNFINISHED, WAITING).await;
    system.revive("payment").await.unwrap();
    let back = Instant::now();
    until_count(&system, "unfinished orders", UNFINISHED, 0).await;
    println!("{WAITING} orders had ended {:.1} s after their domain was back", back.elapsed().as_secs_f64());

    system.until_queues_are_empty(MOVED_WITHIN).await;
    let tally = wait::until("agreeing books", MOVED_WITHIN, || async {
        system.audit().await.map_err(|error| format!("{error:#}"))
    })
    .await;
    assert_eq!((tally.confirmed, tally.rejected), (WAITING, 0));
    assert_eq!(system.panics(), Vec::<String>::new());
}

async fn until_count(system: &System, what: &str, question: &'static str, wanted: usize) {
    let journal = tokio::sync::Mutex::new(system.database("sojourn_orchestrator").await.unwrap());
    wait::until(what, MOVED_WITHIN, || async {
        let found: i64 = sqlx::query_scalar(question).fetch_one(&mut *journal.lock().await).await.unwrap();
        if usize::try_from(found) == Ok(wanted) { Ok(()) } else { Err(format!("{found} of {wanted}")) }
    })
    .await;
}
