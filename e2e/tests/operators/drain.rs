//! SIGTERM, one program after another, while orders run: each finishes what it took, ends with exit code 0, and nothing
//! is lost.

use std::time::Duration;

use e2e::{Client, Findings, System, domains, order_of, wait};
use futures::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::watch;

use crate::{SETTLED_WITHIN, in_days};

const IN_FLIGHT: usize = 12;
/// Each program that is asked lets so many further orders begin, so that it has some under way, however fast the machine
/// is.
const ORDERS_PER_PROGRAM: usize = 20;
/// So many of them end before the next program is asked.
const ENDED_BEFORE: usize = 6;
/// Days over which the orders are spread.
const DAYS: u64 = 40;
/// How long an orderly end may take: every program's own limit is below.
const ENDS_WITHIN: Duration = Duration::from_secs(45);

/// Every program, an orchestrator first and the other last.
fn programs() -> Vec<&'static str> {
    ["orchestrator-1"].into_iter().chain(domains()).chain(["gateway", "orchestrator-2"]).collect()
}

pub(crate) async fn programs_that_are_asked_to_end(system: &mut System, findings: &mut Findings) {
    let client = system.client("bob").await.unwrap();
    let mut offers = Vec::new();
    for day in 0..DAYS {
        let flight = client.flight("LHR", "MLE", in_days(20 + day), "business", 1).await.unwrap();
        let stay = client.stay("Maldives", in_days(21 + day), in_days(22 + day), 1).await.unwrap();
        offers.push((flight, stay));
    }
    let programs = programs();
    let count = (programs.len() + 1) * ORDERS_PER_PROGRAM;
    let (progress, mut ended) = watch::channel(0usize);
    let (asks, asked) = watch::channel(0usize);
    let orders = tokio::spawn(async move {
        let outcomes = stream::iter(0..count).map(|number| {
            let (client, offers, progress) = (&client, &offers, &progress);
            let mut asked = asked.clone();
            async move {
                // The other end goes after the last program.
                asked.wait_for(|asked| number < (asked + 1) * ORDERS_PER_PROGRAM).await.ok();
                let (flight, stay) = &offers[number % offers.len()];
                let outcome = ordered(client, number, flight, stay).await;
                progress.send_modify(|ended| *ended += 1);
                outcome
            }
        });
        outcomes.buffer_unordered(IN_FLIGHT).collect::<Vec<_>>().await
    });
    for (number, name) in programs.into_iter().enumerate() {
        let until = number * ORDERS_PER_PROGRAM + ENDED_BEFORE;
        // The sender goes with the orders: that must not happen before every program was asked.
        let disturbed = ended.wait_for(|ended| *ended >= until).await.is_ok();
        findings.that(&format!("{name} is asked while orders run"), disturbed, ());
        asks.send_replace(number + 1);
        let code = system.program(name).terminate(ENDS_WITHIN).await.unwrap();
        findings.that(&format!("{name} ends in order"), code == Some(0), (code, system.program(name).log_tail()));
        system.revive(name).await.unwrap();
    }
    let outcomes = orders.await.unwrap();
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
