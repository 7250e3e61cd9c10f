//! An order domain with a clock, the commands of a usual order, and its reads.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use contract::{
    Money, OfferId, OrderId, UserId,
    offer::{OfferKind, OfferToken},
    order::{ConfirmOrder, CreateOrder, OrderItem, OrderView, RejectOrder, Traveller},
};
use kit::ids;
use tower::ServiceExt;
use worker_runtime::testkit::{Harness, ManualClock, Snapshot};

pub(crate) async fn orders() -> (Harness, Arc<ManualClock>) {
    let database = private_servers::testing::database("order").await;
    let clock = Arc::new(ManualClock::new(kit::clock::system().now()));
    (Harness::open(worker_order::domain(), &database, clock.clone()).await, clock)
}

/// Two workers on one database.
pub(crate) async fn two_workers() -> [Harness; 2] {
    let database = private_servers::testing::database("order_crossing").await;
    let clock = Arc::new(ManualClock::new(kit::clock::system().now()));
    let worker = async || Harness::open(worker_order::domain(), &database, clock.clone()).await;
    [worker().await, worker().await]
}

pub(crate) fn money(amount: &str) -> Money {
    Money::from_parts(amount.parse().unwrap(), "EUR").unwrap()
}

/// An offer whose seal the order domain does not look at.
pub(crate) fn an_offer<K: OfferKind>() -> OfferToken<K> {
    OfferToken::new(ids::uuid_v7(), b"sealed")
}

pub(crate) fn create(user_id: UserId) -> CreateOrder {
    let item = |offer_id, total| OrderItem { offer_id, description: "an item".to_owned(), total: money(total) };
    let traveller = |given_name: &str| Traveller {
        given_name: given_name.parse().unwrap(),
        family_name: "Larsson".parse().unwrap(),
        born_on: "1980-02-29".parse().unwrap(),
        email: "a@example.org".parse().unwrap(),
    };
    CreateOrder {
        order_id: ids::order_id(),
        user_id,
        items: vec![item(OfferId::Flight(an_offer()), "1000.10"), item(OfferId::Stay(an_offer()), "0.05")],
        travellers: vec![traveller("Ada"), traveller("Bo")],
        total: money("1000.15"),
    }
}

pub(crate) fn reject(order_id: OrderId) -> RejectOrder {
    RejectOrder { order_id, reason_code: "card_declined".to_owned(), reason: "the issuer said no".to_owned() }
}

pub(crate) fn confirm(order_id: OrderId) -> ConfirmOrder {
    ConfirmOrder { order_id, flight_reference: Some("X7K2QP".to_owned()), stay_reference: None }
}

pub(crate) async fn get(harness: &Harness, path: &str) -> (StatusCode, Vec<u8>) {
    let request = Request::get(format!("/internal/order{path}")).body(Body::empty()).unwrap();
    let response = harness.reads().oneshot(request).await.unwrap();
    let status = response.status();
    (status, to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
}

pub(crate) async fn view(harness: &Harness, order_id: OrderId) -> OrderView {
    let (status, body) = get(harness, &format!("/orders/{order_id}")).await;
    assert_eq!(status, StatusCode::OK);
    serde_json::from_slice(&body).unwrap()
}

/// The orders that are not rejected: what an undone order must have left as it was.
pub(crate) fn snapshot() -> Snapshot {
    Snapshot::new(["SELECT order_id FROM orders WHERE status <> 'rejected'"])
}

/// The numbers of a person's orders as the listing has them, and their states.
pub(crate) async fn listed(harness: &Harness, user_id: UserId) -> Vec<(String, String)> {
    let (status, body) = get(harness, &format!("/orders?user_id={user_id}&limit=50")).await;
    assert_eq!(status, StatusCode::OK);
    let orders: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    orders.iter().map(|order| (text(&order["order_id"]), text(&order["status"]))).collect()
}
