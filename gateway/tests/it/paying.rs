//! Paying: bookings, plans, payments of a balance, and what a client sees of them.

use contract::{
    OrderId, PaymentId,
    order::{OrderStatus, OrderView, PayOrder, PaymentPlan, v2::PlaceOrder},
    payment::{NextAction, PaymentStatus, PaymentView},
    saga::{Cause, SagaStatus},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    house::{House, Said, good_order},
    keys::user,
    parts::{Mood, at, money},
};

fn order_id() -> OrderId {
    "ord_01900000000070008000000000000002".parse().unwrap()
}

/// Has the order service store a confirmed order of this person with that balance.
fn stored(house: &House, person: u128, balance: &str) {
    let view = OrderView {
        order_id: order_id(),
        user_id: user(person),
        status: OrderStatus::Confirmed,
        reason: None,
        items: Vec::new(),
        travellers: Vec::new(),
        total: money("1000", "EUR"),
        paid: money("300", "EUR"),
        balance_due: money(balance, "EUR"),
        balance_due_on: Some("2027-04-02".parse().unwrap()),
        flight_reference: None,
        stay_reference: None,
        created_at: at("2026-12-01T08:00:00Z"),
        updated_at: at("2026-12-01T08:00:01Z"),
    };
    house.parts.memory().orders.insert(view.order_id, view);
}

/// Has the payment service store a payment.
fn stored_payment(house: &House, payment_id: PaymentId, person: u128, status: PaymentStatus) {
    let acting = status == PaymentStatus::RequiresAction;
    let (url, expires_at) = ("https://bank.example/3ds/1".to_owned(), at("2026-12-01T08:10:00Z"));
    let view = PaymentView {
        payment_id,
        order_id: order_id(),
        user_id: Some(user(person)),
        status,
        amount: money("700", "EUR"),
        refunded: None,
        next_action: acting.then_some(NextAction::Redirect { url, expires_at }),
        failure_code: (status == PaymentStatus::Failed).then(|| "card_declined".to_owned()),
    };
    house.parts.memory().payments.insert(payment_id, view);
}

async fn pay(house: &House, key: &str, body: &Value) -> Said {
    let path = format!("/v1/orders/{}/payments", order_id());
    Said::of(house.request(Method::POST, &path).header("idempotency-key", key).json(body)).await
}

fn token() -> Value {
    json!({"token": "tok_ok"})
}

#[tokio::test]
async fn an_order_names_its_plan_and_the_first_day_of_the_journey() {
    let house = House::open().await;
    let mut order = good_order();
    order["payment"]["plan"] = json!("deposit");
    assert_eq!(Said::of(house.order_of("one", &order)).await.status, 202);
    let placed: PlaceOrder = serde_json::from_value(house.parts.memory().starts[0].input.clone()).unwrap();
    assert_eq!((placed.payment_plan, placed.departs_on.to_string()), (PaymentPlan::Deposit, "2026-12-05".to_owned()));
    order["payment"]["plan"] = json!("never");
    let wrong = Said::of(house.order_of("two", &order)).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (422, "order_invalid"));
}

#[tokio::test]
async fn a_booking_is_an_order_of_one_stay() {
    let house = House::open().await;
    let mut body = good_order();
    body["offer_id"] = json!(format!("sof_{:032x}.abcd", 2));
    let book = |key: &'static str, body: &Value| {
        Said::of(house.request(Method::POST, "/v1/bookings").header("idempotency-key", key).json(body))
    };
    let said = book("one", &body).await;
    assert_eq!(said.status, 202, "{}", said.body);
    let order_id = said.json()["order_id"].as_str().unwrap().to_owned();
    assert_eq!(said.header("location"), format!("/v1/orders/{order_id}"));
    let start = house.parts.memory().starts[0].clone();
    assert_eq!((start.name.as_str(), start.business_key.as_str()), ("booking", order_id.as_str()));
    let placed: PlaceOrder = serde_json::from_value(start.input).unwrap();
    assert_eq!(
        (placed.items.len(), placed.total, placed.departs_on.to_string().as_str()),
        (1, money("800", "EUR"), "2026-12-06")
    );
    let shown = house.get(&format!("/v1/orders/{order_id}")).await.json();
    assert_eq!((&shown["status"], &shown["balance_due"]["amount"]), (&json!("pending"), &json!("800.00")));
    let listed = house.get("/v1/orders").await.json();
    assert_eq!(listed["items"][0]["order_id"], json!(order_id));

    body["offer_id"] = json!(format!("sof_{:032x}.abcd", 9));
    let gone = book("two", &body).await;
    assert_eq!(
        (gone.status, gone.code().as_str(), &gone.json()["errors"][0]["pointer"]),
        (422, "offer_expired", &json!("#/offer_id"))
    );
    body["offer_id"] = json!(format!("fof_{:032x}.abcd", 1));
    let flight = book("three", &body).await;
    assert_eq!((flight.status, &flight.json()["errors"][0]["pointer"]), (422, &json!("#/offer_id")));
}

#[tokio::test]
async fn the_balance_of_an_order_is_paid_and_followed_from_the_first_moment() {
    let house = House::open().await;
    stored(&house, 1, "700");
    let said = pay(&house, "one", &token()).await;
    assert_eq!(said.status, 202, "{}", said.body);
    let payment_id: PaymentId = serde_json::from_value(said.json()["payment_id"].clone()).unwrap();
    assert_eq!(said.header("location"), format!("/v1/payments/{payment_id}"));
    let start = house.parts.memory().starts[0].clone();
    assert_eq!((start.name.as_str(), start.owner.as_deref()), ("payment", Some(user(1).to_string().as_str())));
    let input: PayOrder = serde_json::from_value(start.input).unwrap();
    assert_eq!((input.payment_id, input.order_id, input.amount), (payment_id, order_id(), money("700", "EUR")));

    // Before the provider is asked, the saga knows it.
    let shown = house.get(&format!("/v1/payments/{payment_id}")).await;
    insta::assert_snapshot!("payment_pending", shown.shown().replace(&payment_id.to_string(), "PAYMENT"));
    stored_payment(&house, payment_id, 1, PaymentStatus::RequiresAction);
    let shown = house.get(&format!("/v1/payments/{payment_id}")).await;
    insta::assert_snapshot!("payment_requires_action", shown.shown().replace(&payment_id.to_string(), "PAYMENT"));
    let order = house.get(&format!("/v1/orders/{}", order_id())).await.json();
    assert_eq!(order["next_action"]["url"], "https://bank.example/3ds/1");
    for (status, word) in [
        (PaymentStatus::Authorized, "pending"),
        (PaymentStatus::Captured, "captured"),
        (PaymentStatus::Voided, "canceled"),
        (PaymentStatus::Failed, "failed"),
    ] {
        stored_payment(&house, payment_id, 1, status);
        assert_eq!(house.get(&format!("/v1/payments/{payment_id}")).await.json()["status"], word);
    }
    assert_eq!(house.get(&format!("/v1/payments/{payment_id}")).await.json()["failure_code"], "card_declined");

    // The same request is the same payment, also when nothing is due any more.
    stored(&house, 1, "0");
    assert_eq!(pay(&house, "one", &token()).await.shown(), said.shown());
    let settled = pay(&house, "two", &token()).await;
    assert_eq!((settled.status, settled.code().as_str()), (409, "order_not_payable"));
    assert_eq!(house.parts.memory().starts.len(), 1);
}

#[tokio::test]
async fn a_payment_that_is_refused_before_the_provider_says_why() {
    let house = House::open().await;
    stored(&house, 1, "700");
    let payment = pay(&house, "one", &token()).await.json()["payment_id"].as_str().unwrap().to_owned();
    for saga in house.parts.memory().sagas.values_mut() {
        saga.summary.status = SagaStatus::Compensated;
        let (code, message) = ("payment_under_way".to_owned(), "another is under way".to_owned());
        saga.cause = Some(Cause { step: None, code, message, refused: true });
    }
    let shown = house.get(&format!("/v1/payments/{payment}")).await.json();
    assert_eq!((&shown["status"], &shown["failure_code"]), (&json!("failed"), &json!("payment_under_way")));
}

#[tokio::test]
async fn payments_and_orders_of_others_do_not_exist() {
    let house = House::open().await;
    stored(&house, 2, "700");
    let foreign = pay(&house, "one", &token()).await;
    assert_eq!((foreign.status, foreign.code().as_str()), (404, "order_unknown"));
    let payment_id = kit::ids::payment_id();
    stored_payment(&house, payment_id, 2, PaymentStatus::Captured);
    for payment_id in [payment_id, kit::ids::payment_id()] {
        let unknown = house.get(&format!("/v1/payments/{payment_id}")).await;
        assert_eq!((unknown.status, unknown.code().as_str()), (404, "payment_unknown"));
    }
}

#[tokio::test]
async fn a_payment_without_a_token_or_with_a_card_number_is_refused() {
    let house = House::open().await;
    stored(&house, 1, "700");
    let none = pay(&house, "one", &json!({})).await;
    assert_eq!((none.status, none.code().as_str()), (422, "payment_invalid"));
    let card = pay(&house, "two", &json!({"token": "4242 4242 4242 4242"})).await;
    assert_eq!((card.status, card.code().as_str()), (422, "card_number_refused"));
    stored(&house, 1, "700");
    assert_eq!(pay(&house, "three", &token()).await.status, 202);
    let other_order = "/v1/orders/ord_01900000000070008000000000000009/payments";
    let request = house.request(Method::POST, other_order).header("idempotency-key", "three").json(&token());
    // The order in the address is part of the request.
    assert_eq!(Said::of(request).await.code(), "idempotency_key_reused");
}

#[tokio::test]
async fn an_order_is_shown_also_while_payments_are_away() {
    let house = House::open().await;
    stored(&house, 1, "700");
    house.parts.mood("payment", Mood::Failing);
    let order = house.get(&format!("/v1/orders/{}", order_id())).await;
    assert_eq!((order.status, order.json().get("next_action")), (200, None));
}
