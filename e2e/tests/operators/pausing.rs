//! Pauses of a domain, a definition and a step: what they hold back stays until they end, and what is held back can be undone.

use e2e::{order_of, wait};
use reqwest::Method;
use serde_json::Value;

use crate::{SETTLED_WITHIN, bench::Bench, in_days, step, until_status};

/// A scope that holds back the payment of an order, one that holds back a booking from its first step on, and one that holds
/// back what users are told.
const SCOPES: [&str; 3] = ["order@2:authorize-payment", "booking@1", "feed"];

pub(crate) async fn sagas_held_back_by_pauses(bench: &mut Bench) {
    let why = ["--reason", "the provider is moved"];
    for scope in SCOPES {
        bench.ends(&[&["pauses", "begin", scope], &why[..]].concat(), 0, &[scope]).await;
    }
    bench.ends(&[&["pauses", "begin", "order@2:autorize"], &why[..]].concat(), 1, &["step_unknown"]).await;
    let flight = bench.client.flight("LHR", "MLE", in_days(41), "business", 1).await.unwrap();
    let stay = bench.client.stay("Maldives", in_days(42), in_days(44), 1).await.unwrap();
    let (order_id, ordered) = bench.client.place("paused order", &order_of(&[&flight], "tok_ok")).await.unwrap();
    let mut body = order_of(&[], "tok_ok");
    body["offer_id"] = stay["offer_id"].clone();
    let key = [("idempotency-key", "paused booking")];
    let booked = bench.client.call_with(Method::POST, "/v1/bookings", Some(body), &key).await.unwrap();
    let id = |name: &str| booked.body[name].as_str().unwrap_or_default().to_owned();
    let (booking_id, booking) = (id("order_id"), id("operation_id"));

    until_held(bench, &SCOPES[..2]).await;
    bench.ends(&["pauses", "list"], 0, &SCOPES).await;
    bench.ends(&["explain", &booking], 0, &["booking@1"]).await;
    // Actions are held back and undoing is not: a cancel takes effect under the pause.
    bench.ends(&["cancel", &ordered, "--reason", "the client called"], 0, &[&ordered]).await;
    let undone = until_status(&bench.operator, &ordered, "compensated").await;
    let is_undone = step(&undone, "hold-seats")["status"] == "compensated";
    bench.findings.that("what was held is let go", is_undone, &undone);
    let rejected = bench.client.until_settled(&order_id, SETTLED_WITHIN).await;
    bench.findings.that("its order is rejected", rejected["status"] == "rejected", &rejected);

    bench.ends(&["pauses", "end", SCOPES[1], "--reason", "it is moved"], 0, &[SCOPES[1]]).await;
    let confirmed = bench.client.until_settled(&booking_id, SETTLED_WITHIN).await;
    bench.findings.that("the booking goes on", confirmed["status"] == "confirmed", &confirmed);
    // All but the last step is done, which is held back with its domain.
    until_held(bench, &SCOPES[2..]).await;
    for scope in [SCOPES[0], SCOPES[2]] {
        bench.ends(&["pauses", "end", scope, "--reason", "it is moved"], 0, &[scope]).await;
    }
    let completed = until_status(&bench.operator, &booking, "completed").await;
    let attempts = completed["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let once = attempts.iter().all(|step| step["attempts"].as_u64().is_none_or(|attempts| attempts <= 1));
    bench.findings.that("a pause costs no attempt", once, &completed);
    bench.ends(&["pauses", "end", SCOPES[2], "--reason", "twice"], 4, &["pause_unknown"]).await;
}

/// Waits until each of these pauses holds back a saga, and nothing is under way that it would hold back.
async fn until_held(bench: &Bench, scopes: &[&str]) {
    wait::until("pauses that hold something back", SETTLED_WITHIN, || async {
        let listed = bench.operator.get("/ops/api/pauses").await.map_err(|error| format!("{error:#}"))?.body;
        let pauses = listed["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let holds = |scope: &&str| {
            let held = |pause: &Value| pause["held_sagas"].as_u64() > Some(0) && pause["quiescent"] == true;
            pauses.iter().any(|pause| pause["scope"] == **scope && held(pause))
        };
        if scopes.iter().all(holds) { Ok(()) } else { Err(listed.to_string()) }
    })
    .await;
}
