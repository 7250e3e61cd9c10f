//! SIGTERM, one program after another, while orders run: each finishes what it took, ends with exit code 0, and nothing
//! is lost.

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use e2e::{Client, Findings, System, order_of, wait};
use futures::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::watch;

use crate::{SETTLED_WITHIN, in_days};

/// More than can be carried out meanwhile; no more are placed once every program was asked.
const ORDERS_MAX: usize = 400;
const IN_FLIGHT: usize = 12;
/// Between two programs so many orders end.
const ORDERS_BETWEEN: usize = 6;
/// Days over which the orders are spread.
const DAYS: u64 = 40;
/// How long an orderly end may take: every program's own limit is below.
const ENDS_WITHIN: Duration = Duration::from_secs(45);

const PROGRAMS: [&str; 9] =
    ["payment", "orchestrator-1", "flights", "gateway", "order", "accommodation", "feed", "user", "orchestrator-2"];

pub(crate) async fn programs_that_are_asked_to_end(system: &mut System, findings: &mut Findings) {
    let client = system.client("bob").await.unwrap();
    let mut offers = Vec::new();
    for day in 0..DAYS {
        let flight = client.flight("LHR", "MLE", in_days(20 + day), "business", 1).await.unwrap();
        let stay = client.stay("Maldives", in_days(21 + day), in_days(22 + day), 1).await.unwrap();
        offers.push((flight, stay));
    }
    let (progress, mut ended) = watch::channel(0usize);
    let enough = Arc::new(AtomicBool::new(false));
    let orders = tokio::spawn({
        let enough = Arc::clone(&enough);
        async move {
            let numbers = stream::iter(0..ORDERS_MAX).take_while(|_| ready(!enough.load(Ordering::Relaxed)));
            let outcomes = numbers.map(|number| {
                let (client, offers, progress) = (&client, &offers, &progress);
                async move {
                    let (flight, stay) = &offers[number % offers.len()];
                    let outcome = ordered(client, number, flight, stay).await;
                    progress.send_modify(|ended| *ended += 1);
                    outcome
                }
            });
            outcomes.buffer_unordered(IN_FLIGHT).collect::<Vec<_>>().await
        }
    });
    for name in PROGRAMS {
        let until = *ended.borrow() + ORDERS_BETWEEN;
        // The sender goes with the orders: that must not happen before every program was asked.
        let disturbed =
            ended.wait_for(|ended| *ended >= until).await.is_ok_and(|ended| *ended < ORDERS_MAX - IN_FLIGHT);
        findings.that(&format!("{name} is asked while orders run"), disturbed, ());
        let code = system.program(name).terminate(ENDS_WITHIN).await.unwrap();
        findings.that(&format!("{name} ends in order"), code == Some(0), (code, system.program(name).log_tail()));
        system.revive(name).await.unwrap();
    }
    enough.store(true, Ordering::Relaxed);
    let outcomes = orders.await.unwrap();
    let count = outcomes.len();
    let wrong: Vec<String> = outcomes.into_iter().flatten().collect();
    findings.that("orders that ended otherwise than they should", wrong.is_empty(), &wrong);
    system.until_queues_are_empty(Duration::from_secs(60)).await;
    let system = &*system;
    let tally = wait::until("agreeing books", Duration::from_secs(60), || async {
        system.audit().await.map_err(|error| format!("{error:#}"))
    })
    .await;
    findings.that("every order is there", tally.confirmed + tally.rejected == count, (tally, count));
}

/// Says what is wrong with how it ended.
async fn ordered(client: &Client, number: usize, flight: &Value, stay: &Value) -> Option<String> {
    let (token, expected) = match number % 6 {
        0 => ("tok_declined", "rejected"),
        3 => ("tok_timeout_after_commit", "confirmed"),
        _ => ("tok_ok", "confirmed"),
    };
    let trip: &[&Value] = if number.is_multiple_of(3) { &[flight, stay] } else { &[flight] };
    let accepted = client.order_surely(&format!("drain-{number}"), &order_of(trip, token), SETTLED_WITHIN).await;
    let order_id = accepted.body["order_id"].as_str().map(str::to_owned).unwrap_or_default();
    if accepted.status != 202 {
        return Some(format!("{number}: {accepted:?}"));
    }
    let settled = client.until_settled(&order_id, SETTLED_WITHIN).await;
    (settled["status"] != expected).then(|| format!("{number}: {settled}"))
}
