//! Searches, orders, operations, live events.

use contract::{
    OrderId,
    orchestrator_api::RecordView,
    order::{OrderStatus, OrderView, PlaceOrder},
    saga::{Cause, SagaStatus, StepStatus},
};
use reqwest::Method;
use serde_json::json;

use crate::{
    house::{House, Said},
    keys::user,
    parts::{Mood, at, money, step},
};

/// Places an order and returns its answer.
async fn placed(house: &House) -> (String, String) {
    let body = Said::of(house.order("one")).await.json();
    (body["order_id"].as_str().unwrap().to_owned(), body["operation_id"].as_str().unwrap().to_owned())
}

/// Has the order service store the order of the first start.
fn stored(house: &House, status: OrderStatus) -> OrderView {
    let placed: PlaceOrder = serde_json::from_value(house.parts.memory().starts[0].input.clone()).unwrap();
    let view = OrderView {
        order_id: placed.order_id,
        user_id: placed.user_id,
        status,
        reason: None,
        items: placed.items,
        travellers: placed.travellers,
        total: placed.total,
        paid: money("0", "EUR"),
        balance_due: placed.total,
        balance_due_on: None,
        flight_reference: Some("ABC123".into()),
        stay_reference: None,
        created_at: at("2026-12-01T08:00:00Z"),
        updated_at: at("2026-12-01T08:00:01Z"),
    };
    house.parts.memory().orders.insert(view.order_id, view.clone());
    view
}

#[tokio::test]
async fn searches_are_public_checked_here_and_answered_there() {
    let house = House::open().await;
    let search = |query: &str| Said::of(house.http.get(house.url(&format!("/v1/flights/offers?{query}"))));
    let good = search("from=LHR&to=MLE&date=2026-12-05&cabin=business&passengers=2").await;
    assert_eq!((good.status, good.json()["items"].as_array().unwrap().len()), (200, 3));
    assert_eq!(good.json()["next_page_token"], "next");
    let past = search("from=LHR&to=MLE&date=2026-11-05&cabin=business&passengers=2").await;
    assert_eq!((past.status, past.code().as_str()), (422, "date_in_past"));
    for wrong in [
        "",
        "from=LHR",
        "from=LHR&to=MLE&date=tomorrow&cabin=business&passengers=2",
        "from=LHR&to=MLE&date=2026-12-05&cabin=sofa&passengers=2",
        "from=LHR&to=MLE&date=2026-12-05&cabin=first&passengers=2&order=price",
    ] {
        let said = search(wrong).await;
        assert_eq!((said.status, said.code().as_str()), (400, "query_invalid"), "{wrong}");
    }
    let stay = Said::of(house.http.get(house.url("/v1/stays/offers?place=Maldives"))).await;
    assert_eq!((stay.status, stay.code().as_str()), (400, "query_invalid"));
}

#[tokio::test]
async fn an_order_is_visible_at_once_and_then_as_the_order_service_has_it() {
    let house = House::open().await;
    let (order_id, _) = placed(&house).await;
    let early = house.get(&format!("/v1/orders/{order_id}")).await;
    assert_eq!((early.status, early.json()["status"].as_str()), (200, Some("pending")));
    assert_eq!(early.json()["total"], json!({"amount": "2000.50", "currency": "EUR"}));
    stored(&house, OrderStatus::Confirmed);
    let late = house.get(&format!("/v1/orders/{order_id}")).await;
    assert_eq!((late.json()["status"].as_str(), late.json().get("user_id")), (Some("confirmed"), None));

    let list = house.get("/v1/orders?page_size=10").await;
    assert_eq!(list.json()["items"], json!([late.json()]));
    for token in ["", "a%26user_id%3Dusr_1"] {
        let said = house.get(&format!("/v1/orders?page_token={token}")).await;
        assert_eq!((said.status, said.code().as_str()), (400, "page_token_invalid"), "{token}");
    }
    for wrong in ["page_size=-1", "user_id=usr_1"] {
        assert_eq!(house.get(&format!("/v1/orders?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn every_accepted_order_is_listed_also_those_that_the_order_service_never_heard_of() {
    let house = House::open().await;
    let mut accepted = Vec::new();
    for key in ["one", "two", "three", "four", "five"] {
        let order = Said::of(house.order(key)).await.json();
        accepted.insert(0, order["order_id"].as_str().unwrap().to_owned());
    }
    // The order service has the first; another was undone before it heard of it.
    stored(&house, OrderStatus::Confirmed);
    if let Some(saga) = house.parts.memory().sagas.values_mut().nth(2) {
        saga.summary.status = SagaStatus::Compensated;
    }
    let (mut listed, mut statuses, mut next) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = house.get(&format!("/v1/orders?page_size=2{next}")).await.json();
        for order in page["items"].as_array().unwrap() {
            listed.push(order["order_id"].as_str().unwrap().to_owned());
            statuses.push(order["status"].as_str().unwrap().to_owned());
        }
        let Some(token) = page["next_page_token"].as_str() else { break };
        next = format!("&page_token={token}");
    }
    assert_eq!(listed, accepted);
    assert_eq!(statuses, ["pending", "pending", "rejected", "pending", "confirmed"]);
    let other = Said::of(house.http.get(house.url("/v1/orders")).bearer_auth(house.client_token(2))).await;
    assert_eq!(other.json(), json!({ "items": [], "next_page_token": null }));
    house.parts.mood("orchestrator", Mood::Busy);
    let half = house.get("/v1/orders").await;
    assert_eq!((half.status, half.code().as_str()), (503, "service_unavailable"), "half a list is none");
}

#[tokio::test]
async fn an_order_that_was_undone_before_it_was_stored_is_rejected_with_the_reason() {
    let house = House::open().await;
    let (order_id, operation_id) = placed(&house).await;
    {
        let mut memory = house.parts.memory();
        let saga = memory.sagas.get_mut(&operation_id.parse().unwrap()).unwrap();
        saga.summary.status = SagaStatus::Compensated;
        saga.cause = Some(Cause {
            step: None,
            code: "deadline".into(),
            message: "postgres://secret is away".into(),
            refused: false,
        });
    }
    let said = house.get(&format!("/v1/orders/{order_id}")).await.json();
    assert_eq!((said["status"].as_str(), said["reason"]["code"].as_str()), (Some("rejected"), Some("deadline")));
    assert!(!said.to_string().contains("postgres"), "{said}");
}

#[tokio::test]
async fn what_belongs_to_somebody_else_does_not_exist() {
    let house = House::open().await;
    let (order_id, operation_id) = placed(&house).await;
    let missing = OrderId::from_uuid(uuid::Uuid::from_u128(1));
    let as_other = |path: String| Said::of(house.http.get(house.url(&path)).bearer_auth(house.client_token(2)));
    let early = as_other(format!("/v1/orders/{order_id}")).await;
    stored(&house, OrderStatus::Confirmed);
    let late = as_other(format!("/v1/orders/{order_id}")).await;
    let never = as_other(format!("/v1/orders/{missing}")).await;
    for said in [&early, &late, &never] {
        assert_eq!((said.status, said.code().as_str()), (404, "order_unknown"));
        let text = said.body.replace(&order_id, "ID").replace(&missing.to_string(), "ID");
        assert_eq!(text, never.body.replace(&missing.to_string(), "ID"));
    }
    assert_eq!(as_other(format!("/v1/operations/{operation_id}")).await.status, 404);
    assert_eq!(as_other(format!("/v1/operations/{operation_id}/events")).await.status, 404);
    assert_eq!(as_other("/v1/orders".to_owned()).await.json()["items"], json!([]));
    for malformed in [
        "/v1/orders/ord_1",
        "/v1/orders/usr_00000000000000000000000000000001",
        "/v1/operations/x",
        "/v1/operations/x/events",
    ] {
        assert_eq!(house.get(malformed).await.status, 404, "{malformed}");
    }
}

#[tokio::test]
async fn an_unchanged_order_need_not_be_sent_again() {
    let house = House::open().await;
    let (order_id, _) = placed(&house).await;
    let path = format!("/v1/orders/{order_id}");
    let first = house.get(&path).await;
    let tag = first.header("etag").to_owned();
    let again = Said::of(house.request(Method::GET, &path).header("if-none-match", format!("\"x\", {tag}"))).await;
    assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", tag.as_str()));
    stored(&house, OrderStatus::Confirmed);
    let changed = Said::of(house.request(Method::GET, &path).header("if-none-match", tag)).await;
    assert_eq!(changed.status, 200);
}

#[tokio::test]
async fn an_operation_tells_how_far_it_is_in_public_words() {
    let house = House::open().await;
    let (_, id) = placed(&house).await;
    let running = house.get(&format!("/v1/operations/{id}")).await;
    insta::assert_snapshot!("operation_running", running.shown().replace(&id, "ID"));
    {
        let mut memory = house.parts.memory();
        let saga = memory.sagas.get_mut(&id.parse().unwrap()).unwrap();
        saga.summary.status = SagaStatus::Compensated;
        let cause = Cause {
            step: Some("authorize-payment".parse().unwrap()),
            code: "card_declined".into(),
            message: "The issuer said no.".into(),
            refused: true,
        };
        saga.steps =
            vec![step("create-order", StepStatus::Compensated), step("authorize-payment", StepStatus::Refused)];
        saga.cause = Some(cause);
    }
    let failed = house.get(&format!("/v1/operations/{id}")).await;
    insta::assert_snapshot!("operation_failed", failed.shown().replace(&id, "ID"));
}

#[tokio::test]
async fn an_order_that_was_given_up_is_not_said_to_be_undone() {
    let house = House::open().await;
    let (_, id) = placed(&house).await;
    house.parts.memory().sagas.get_mut(&id.parse().unwrap()).unwrap().summary.status = SagaStatus::Abandoned;
    let said = house.get(&format!("/v1/operations/{id}")).await.json();
    assert_eq!((said["status"].as_str(), said["error"]["code"].as_str()), (Some("failed"), Some("given_up")));
    assert!(!said.to_string().contains("Nothing is booked"), "{said}");
}

fn record(seq: u64, status: SagaStatus, first: StepStatus) -> String {
    let record = RecordView {
        seq,
        at: at("2026-12-01T08:00:00Z"),
        entries: vec![json!({"entry": "compensation_started"})],
        status,
        steps: vec![step("create-order", first)],
        cause: Some(Cause { step: None, code: "deadline".into(), message: "secret insides".into(), refused: false }),
    };
    format!("id: {seq}\nevent: record\ndata: {}\n\n", serde_json::to_string(&record).unwrap())
}

#[tokio::test]
async fn an_operation_is_followed_live_with_public_fields_only_until_it_ends() {
    let house = House::open().await;
    let (_, id) = placed(&house).await;
    house.parts.memory().stream = vec![
        record(1, SagaStatus::Running, StepStatus::Dispatched),
        ": keep-alive\n\n".into(),
        record(2, SagaStatus::Compensated, StepStatus::Compensated),
        "event: end\ndata: {}\n\n".into(),
    ];
    let request = house.request(Method::GET, &format!("/v1/operations/{id}/events")).header("last-event-id", "0");
    let said = Said::of(request).await;
    assert_eq!((said.status, said.header("content-type")), (200, "text/event-stream"));
    insta::assert_snapshot!("operation_events", said.body.replace(&id, "ID"));
    assert_eq!(house.parts.memory().last_headers["last-event-id"], "0");
}

#[tokio::test]
async fn a_reader_that_has_seen_the_end_is_told_to_stop() {
    let house = House::open().await;
    let (_, id) = placed(&house).await;
    house.parts.memory().sagas.get_mut(&id.parse().unwrap()).unwrap().summary.status = SagaStatus::Completed;
    let request = house.request(Method::GET, &format!("/v1/operations/{id}/events")).header("last-event-id", "3");
    assert_eq!(Said::of(request).await.status, 204);
}

#[tokio::test]
async fn events_arrive_as_they_happen_and_end_with_the_gateway() {
    let house = House::open().await;
    let (_, id) = placed(&house).await;
    house.parts.memory().stream = vec![record(1, SagaStatus::Running, StepStatus::Dispatched)];
    let mut answer = house.request(Method::GET, &format!("/v1/operations/{id}/events")).send().await.unwrap();
    let mut seen = String::new();
    while !seen.contains("id: 1") && !seen.contains("id:1") {
        // The upstream stream stays open: this only returns because nothing is held back.
        let chunk = answer.chunk().await.unwrap().unwrap();
        seen.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    house.token.cancel();
    while answer.chunk().await.unwrap().is_some() {}
    house.gateway.stopped().await;
}

#[tokio::test]
async fn one_person_never_sees_anothers_orders_even_if_the_order_service_errs() {
    let house = House::open().await;
    let (own, _) = placed(&house).await;
    let mut foreign = stored(&house, OrderStatus::Confirmed);
    house.parts.memory().orders.clear();
    foreign.user_id = user(2);
    foreign.order_id = OrderId::from_uuid(uuid::Uuid::from_u128(u128::MAX));
    house.parts.memory().orders.insert(foreign.order_id, foreign);
    let listed = house.get("/v1/orders").await.json();
    let ids: Vec<_> = listed["items"].as_array().unwrap().iter().map(|order| &order["order_id"]).collect();
    assert_eq!(ids, [&json!(own)]);
}
