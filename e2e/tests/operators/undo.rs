//! A saga that is held before its point of no return, because a worker is away: cancelled by an operator while its
//! step is in doubt, followed live by its client over lost connections, and undone when the worker is back.

use std::time::Duration;

use e2e::{Part, events, order_of};
use serde_json::{Value, json};

use crate::{SETTLED_WITHIN, bench::Bench, in_days, step, until, until_status};

pub(crate) async fn a_saga_held_before_its_pivot(bench: &mut Bench) {
    let flight = bench.client.flight("LHR", "MLE", in_days(41), "business", 1).await.unwrap();
    let stay = bench.client.stay("Maldives", in_days(42), in_days(44), 1).await.unwrap();
    bench.system.kill(Part::Program("payment"));
    let (order_id, saga) = bench.client.place("held", &order_of(&[&flight, &stay], "tok_ok")).await.unwrap();
    let id = saga.as_str();
    let path = format!("/v1/operations/{id}/events");

    // The client follows it; the connection is lost with the gateway, which ends in order all the same.
    let authorizing = |event: &eventsource_stream::Event| {
        let operation: Value = serde_json::from_str(&event.data).unwrap_or_default();
        step(&operation, "authorize-payment")["status"] == "running"
    };
    let stream = bench.client.open(&path, None).await.unwrap();
    let mut seen = tokio::time::timeout(SETTLED_WITHIN, events(stream, authorizing)).await.unwrap().unwrap();
    let last = seen.last().unwrap().id.clone();
    let open = bench.client.open(&path, Some(&last)).await.unwrap();
    let code = bench.system.program("gateway").terminate(Duration::from_secs(30)).await.unwrap();
    bench.findings.that("the gateway ends in order with a stream open", code == Some(0), code);
    let rest = events(open, |_| false).await;
    bench.findings.that("its streams were closed in order", rest.is_ok(), &rest);
    seen.extend(rest.unwrap_or_default());
    bench.system.revive("gateway").await.unwrap();
    let last = seen.iter().rfind(|event| !event.id.is_empty()).unwrap().id.clone();
    let again = bench.client.open(&path, Some(&last)).await.unwrap();
    let following = tokio::spawn(events(again, |_| false));

    // No answer is no failure: the step stays as it is, and is no second attempt.
    let shown =
        until(&bench.operator, id, "sent", |shown| step(shown, "authorize-payment")["status"] == "dispatched").await;
    bench.findings.that("one attempt", step(&shown, "authorize-payment")["attempts"] == 1, &shown);
    bench.ends(&["cancel", id, "--reason", "the client called"], 0, &[id]).await;
    let shown = until(&bench.operator, id, "undoing what it can", |shown| {
        step(shown, "hold-seats")["status"] == "compensated" && step(shown, "hold-rooms")["status"] == "compensated"
            || step(shown, "authorize-payment")["status"] == "compensating"
    })
    .await;
    bench.findings.that(
        "it is being undone",
        shown["status"] == "compensating" && shown["cause"]["code"] == "saga_cancelled",
        &shown,
    );
    bench.ends(&["cancel", id, "--reason", "the client called again"], 6, &["saga_compensating"]).await;

    bench.system.revive("payment").await.unwrap();
    let shown = until_status(&bench.operator, id, "compensated").await;
    for name in ["hold-seats", "hold-rooms", "authorize-payment", "create-order"] {
        let status = &step(&shown, name)["status"];
        bench.findings.that(&format!("{name} is undone"), status == "compensated", &shown);
    }
    let order = bench.client.until_settled(&order_id, SETTLED_WITHIN).await;
    // What operators tell each other is not for the client.
    let reason = json!({ "code": "saga_cancelled", "message": contract::order::NOT_COMPLETED });
    let told = order["status"] == "rejected" && order["reason"] == reason;
    bench.findings.that("the order is rejected", told, &order);
    bench.ends(&["cancel", id, "--reason", "once more"], 6, &["saga_finished"]).await;
    nothing_is_left(bench, &order_id).await;

    // The stream went on where it was, told everything once, and closed at the end.
    let rest = tokio::time::timeout(SETTLED_WITHIN, following).await.unwrap().unwrap().unwrap();
    seen.extend(rest);
    let ids: Vec<u64> =
        seen.iter().filter(|event| event.event == "operation").filter_map(|event| event.id.parse().ok()).collect();
    let head = shown["head"].as_u64().unwrap();
    bench.findings.that("every event once", ids == (1..=head).collect::<Vec<_>>(), (&ids, head));
    let ended = seen.last().is_some_and(|event| event.event == "end");
    bench.findings.that("the stream ended with the saga", ended, seen.last());
    let failed =
        seen.iter().rfind(|event| event.event == "operation").map(|event| event.data.clone()).unwrap_or_default();
    let failed: Value = serde_json::from_str(&failed).unwrap_or_default();
    let told = failed["status"] == "failed" && failed["error"]["code"] == "saga_cancelled";
    bench.findings.that("what it said last", told, &failed);
    let over = bench.client.open(&path, Some(&head.to_string())).await.unwrap();
    bench.findings.that("there is nothing more to follow", over.status() == 204, over.status());
    for name in ["orchestrator-1", "orchestrator-2"] {
        let all = bench.system.internal(name).open(&format!("/api/sagas/{id}/events"), Some("3")).await.unwrap();
        let all = events(all, |_| false).await.unwrap();
        let ids: Vec<u64> =
            all.iter().filter(|event| event.event == "record").filter_map(|event| event.id.parse().ok()).collect();
        let whole = ids == (4..=head).collect::<Vec<_>>() && all.last().is_some_and(|event| event.event == "end");
        bench.findings.that(&format!("{name} tells the rest"), whole, (&ids, head));
    }
}

/// Seats, rooms and money are where they were.
async fn nothing_is_left(bench: &mut Bench, order_id: &str) {
    let uuid = uuid::Uuid::try_parse(&order_id[4..]).unwrap();
    for (database, live) in [
        ("sojourn_flights", "SELECT count(*) FROM seat_hold WHERE order_id = $1 AND status IN ('held', 'confirmed')"),
        (
            "sojourn_accommodation",
            "SELECT count(*) FROM room_hold WHERE order_id = $1 AND status IN ('held', 'confirmed')",
        ),
        (
            "sojourn_payment",
            "SELECT count(*) FROM payment WHERE order_id = $1 AND status IN ('authorized', 'captured')",
        ),
    ] {
        let mut database = bench.system.database(database).await.unwrap();
        let live: i64 = sqlx::query_scalar(live).bind(uuid).fetch_one(&mut database).await.unwrap();
        bench.findings.that("nothing is left of it", live == 0, (order_id, live));
    }
    let open: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sandbox.charge c LEFT JOIN payment p ON p.provider_reference = c.reference
         WHERE c.status = 'authorized' AND p.provider_reference IS NULL",
    )
    .fetch_one(&mut bench.system.database("sojourn_payment").await.unwrap())
    .await
    .unwrap();
    bench.findings.that("nothing is reserved that nobody knows", open == 0, open);
}
