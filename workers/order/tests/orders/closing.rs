//! Orders whose saga a person gave up (S30).

use contract::{
    OrderId, Outcome,
    order::{CloseOrder, GIVEN_UP, OrderClosed, OrderStatus, PaymentPlan, v2},
};
use kit::{clock::Clock, ids};
use worker_runtime::testkit::{Harness, action_of_a_new_saga};

use crate::common::{confirm, create, orders, view};

fn close(order_id: OrderId, today: chrono::NaiveDate) -> CloseOrder {
    let contract::order::CreateOrder { user_id, items, travellers, total, .. } = create(ids::user_id());
    let (payment_plan, first_payment) = (PaymentPlan::Full, Some(ids::payment_id()));
    let order =
        v2::CreateOrder { order_id, user_id, items, travellers, total, departs_on: today, payment_plan, first_payment };
    CloseOrder { order, reason_code: "given_up".into(), reason: GIVEN_UP.into() }
}

async fn closed(harness: &Harness, close: &CloseOrder) -> OrderStatus {
    let outcome = harness.deliver(&action_of_a_new_saga("close"), close).await;
    assert_eq!(outcome, Outcome::done(OrderClosed {}));
    let shown = view(harness, close.order.order_id).await;
    assert_eq!(shown.reason.is_some(), shown.status == OrderStatus::Closed);
    shown.status
}

#[tokio::test]
async fn a_pending_order_is_closed_with_a_reason_and_one_that_has_ended_is_left_as_it_is() {
    let (harness, clock) = orders().await;
    let today = clock.now().date_naive();
    let pending = create(ids::user_id());
    harness.deliver(&action_of_a_new_saga("create-order"), &pending).await;
    let close_pending = close(pending.order_id, today);
    assert_eq!(closed(&harness, &close_pending).await, OrderStatus::Closed);
    assert_eq!(closed(&harness, &close_pending).await, OrderStatus::Closed, "closing it again changes nothing");
    let late = harness.deliver(&action_of_a_new_saga("confirm-order"), &confirm(pending.order_id)).await;
    assert!(!matches!(late, Outcome::Done { .. }), "a closed order is not confirmed: {late:?}");

    let confirmed = create(ids::user_id());
    harness.deliver(&action_of_a_new_saga("create-order"), &confirmed).await;
    harness.deliver(&action_of_a_new_saga("confirm-order"), &confirm(confirmed.order_id)).await;
    assert_eq!(closed(&harness, &close(confirmed.order_id, today)).await, OrderStatus::Confirmed);
}

#[tokio::test]
async fn an_order_that_was_never_created_is_kept_as_closed_and_a_late_creation_does_not_open_it() {
    let (harness, clock) = orders().await;
    let close = close(ids::order_id(), clock.now().date_naive());
    assert_eq!(closed(&harness, &close).await, OrderStatus::Closed);
    let late = harness.deliver(&action_of_a_new_saga("create-order"), &close.order).await;
    assert!(!matches!(late, Outcome::Done { .. }), "{late:?}");
    assert_eq!(view(&harness, close.order.order_id).await.status, OrderStatus::Closed);
}
