//! The payments of an order: the plan, one payment at a time, and what is paid.

use chrono::{Days, NaiveDate, TimeDelta};
use contract::{
    OrderId, Outcome, PaymentId,
    order::{BeginPayment, EndPayment, OrderStatus, PaymentPlan, RecordPayment, v2},
};
use kit::{clock::Clock, ids};
use worker_runtime::testkit::{
    Harness, Snapshot, action_of_a_new_saga, compensation_of,
    conformance::{check_pair, check_refusal},
};

use crate::common::{confirm, create, money, orders, reject, snapshot, view};

/// An order of 1000.15 EUR that begins so many days from today.
fn create_with(plan: PaymentPlan, departs_on: NaiveDate, first_payment: Option<PaymentId>) -> v2::CreateOrder {
    let contract::order::CreateOrder { order_id, user_id, items, travellers, total } = create(ids::user_id());
    v2::CreateOrder { order_id, user_id, items, travellers, total, departs_on, payment_plan: plan, first_payment }
}

/// An order that is confirmed and of which only a deposit is paid.
async fn with_a_deposit(harness: &Harness, today: NaiveDate) -> OrderId {
    let payment_id = ids::payment_id();
    let create = create_with(PaymentPlan::Deposit, today + Days::new(100), Some(payment_id));
    let order_id = create.order_id;
    harness.deliver(&action_of_a_new_saga("create-order"), &create).await;
    let record = RecordPayment { order_id, payment_id, amount: money("300.05") };
    harness.deliver(&action_of_a_new_saga("record-payment"), &record).await;
    harness.deliver(&action_of_a_new_saga("confirm-order"), &confirm(order_id)).await;
    order_id
}

fn begin(order_id: OrderId, amount: &str) -> BeginPayment {
    BeginPayment { order_id, payment_id: ids::payment_id(), amount: money(amount) }
}

fn end(begin: &BeginPayment) -> EndPayment {
    EndPayment { order_id: begin.order_id, payment_id: begin.payment_id }
}

fn code<R>(outcome: &Outcome<R>) -> &str {
    match outcome {
        Outcome::Refused(refusal) => &refusal.code,
        Outcome::Done { .. } => "done",
        Outcome::Faulted(fault) => &fault.code,
    }
}

#[tokio::test]
async fn an_order_is_paid_by_a_deposit_and_then_the_balance() {
    let (harness, clock) = orders().await;
    let today = clock.now().date_naive();
    let payment_id = ids::payment_id();
    let create = create_with(PaymentPlan::Deposit, today + Days::new(100), Some(payment_id));
    let order_id = create.order_id;
    let created = harness.deliver(&action_of_a_new_saga("create-order"), &create).await;
    let Outcome::Done { reply } = created else { panic!("{created:?}") };
    assert_eq!(reply.due_now, money("300.05"));
    let shown = view(&harness, order_id).await;
    assert_eq!((shown.paid, shown.balance_due), (money("0"), money("1000.15")));
    assert_eq!(shown.balance_due_on, Some(today + Days::new(40)));

    // The first payment is under way: no other begins.
    let early = begin(order_id, "1");
    assert_eq!(code(&harness.deliver(&action_of_a_new_saga("begin-payment"), &early).await), "payment_under_way");
    let record = RecordPayment { order_id, payment_id, amount: money("300.05") };
    clock.advance(TimeDelta::seconds(3));
    let recorded = harness.deliver(&action_of_a_new_saga("record-payment"), &record).await;
    let Outcome::Done { reply } = recorded else { panic!("{recorded:?}") };
    assert_eq!((reply.paid, reply.balance_due), (money("300.05"), money("700.10")));
    harness.deliver(&action_of_a_new_saga("confirm-order"), &confirm(order_id)).await;

    let balance = begin(order_id, "700.10");
    let too_much = begin(order_id, "700.11");
    assert_eq!(code(&harness.deliver(&action_of_a_new_saga("begin-payment"), &too_much).await), "balance_exceeded");
    assert_eq!(code(&harness.deliver(&action_of_a_new_saga("begin-payment"), &balance).await), "done");
    let record = RecordPayment { order_id, payment_id: balance.payment_id, amount: balance.amount };
    assert_eq!(code(&harness.deliver(&action_of_a_new_saga("record-payment"), &record).await), "done");
    let shown = view(&harness, order_id).await;
    assert_eq!((shown.status, shown.paid, shown.balance_due), (OrderStatus::Confirmed, money("1000.15"), money("0")));
    let more = begin(order_id, "0.01");
    assert_eq!(code(&harness.deliver(&action_of_a_new_saga("begin-payment"), &more).await), "order_not_payable");
}

#[tokio::test]
async fn a_deposit_is_refused_when_its_balance_would_be_due_in_the_past() {
    let (harness, clock) = orders().await;
    let today = clock.now().date_naive();
    let late = create_with(PaymentPlan::Deposit, today + Days::new(59), Some(ids::payment_id()));
    let refused = harness.deliver(&action_of_a_new_saga("create-order"), &late).await;
    assert_eq!(code(&refused), "deposit_too_late");
    assert_eq!(view(&harness, late.order_id).await.status, OrderStatus::Rejected);
    let on_the_day = create_with(PaymentPlan::Deposit, today + Days::new(60), None);
    assert_eq!(code(&harness.deliver(&action_of_a_new_saga("create-order"), &on_the_day).await), "done");
    let soon = create_with(PaymentPlan::Full, today + Days::new(1), None);
    let done = harness.deliver(&action_of_a_new_saga("create-order"), &soon).await;
    let Outcome::Done { reply } = done else { panic!("{done:?}") };
    assert_eq!((reply.due_now, view(&harness, soon.order_id).await.balance_due_on), (soon.total, None));
}

#[tokio::test]
async fn a_rejected_order_is_owed_nothing_and_an_order_by_the_first_version_is_paid_when_it_is_confirmed() {
    let (harness, clock) = orders().await;
    let lost = create_with(PaymentPlan::Full, clock.now().date_naive(), Some(ids::payment_id()));
    let id = action_of_a_new_saga("create-order");
    harness.deliver(&id, &lost).await;
    harness.deliver(&compensation_of(&id), &reject(lost.order_id)).await;
    let shown = view(&harness, lost.order_id).await;
    assert_eq!((shown.paid, shown.balance_due), (money("0"), money("0")));
    let refused = harness.deliver(&action_of_a_new_saga("begin-payment"), &begin(lost.order_id, "1")).await;
    assert_eq!(code(&refused), "order_not_payable");
    let unknown = harness.deliver(&action_of_a_new_saga("begin-payment"), &begin(ids::order_id(), "1")).await;
    assert_eq!(code(&unknown), "order_not_payable");

    let old = create(ids::user_id());
    harness.deliver(&action_of_a_new_saga("create-order"), &old).await;
    harness.deliver(&action_of_a_new_saga("confirm-order"), &confirm(old.order_id)).await;
    let shown = view(&harness, old.order_id).await;
    assert_eq!((shown.paid, shown.balance_due), (old.total, money("0")));
}

#[tokio::test]
async fn a_payment_that_was_not_begun_is_not_recorded() {
    let (harness, clock) = orders().await;
    let order_id = with_a_deposit(&harness, clock.now().date_naive()).await;
    let stray = RecordPayment { order_id, payment_id: ids::payment_id(), amount: money("1") };
    let faulted = harness.deliver(&action_of_a_new_saga("record-payment"), &stray).await;
    assert!(matches!(faulted, Outcome::Faulted(_)), "{faulted:?}");
    let begun = begin(order_id, "1");
    harness.deliver(&action_of_a_new_saga("begin-payment"), &begun).await;
    let (payment_id, yen) = (begun.payment_id, contract::Money::from_parts(1.into(), "JPY").unwrap());
    let foreign = RecordPayment { order_id, payment_id, amount: yen };
    let faulted = harness.deliver(&action_of_a_new_saga("record-payment"), &foreign).await;
    assert!(matches!(faulted, Outcome::Faulted(_)), "{faulted:?}");
    assert_eq!(view(&harness, order_id).await.paid, money("300.05"));
}

#[tokio::test]
async fn creating_by_a_plan_and_rejecting_keep_every_promise_of_the_barrier() {
    let (harness, clock) = orders().await;
    let departs_on = clock.now().date_naive() + Days::new(100);
    check_pair(&harness, &snapshot(), || {
        let create = create_with(PaymentPlan::Deposit, departs_on, Some(ids::payment_id()));
        let reject = reject(create.order_id);
        (create, reject)
    })
    .await;
}

#[tokio::test]
async fn beginning_and_ending_a_payment_keep_every_promise_of_the_barrier() {
    let (harness, clock) = orders().await;
    let mut free = Vec::new();
    for _ in 0..PAIRS_MAX {
        free.push(with_a_deposit(&harness, clock.now().date_naive()).await);
    }
    let free = std::sync::Mutex::new(free);
    let under_way = Snapshot::new(["SELECT payment_id FROM order_payment WHERE recorded_at IS NULL"]);
    check_pair(&harness, &under_way, || {
        let begin = begin(free.lock().unwrap().pop().unwrap(), "700.10");
        let end = end(&begin);
        (begin, end)
    })
    .await;
}

/// More pairs than the conformance kit asks for.
const PAIRS_MAX: usize = 60;

#[tokio::test]
async fn a_refused_payment_keeps_every_promise_of_the_barrier() {
    let (harness, clock) = orders().await;
    let order_id = with_a_deposit(&harness, clock.now().date_naive()).await;
    let begin = begin(order_id, "700.11");
    let pair = (begin.clone(), end(&begin));
    let under_way = Snapshot::new(["SELECT payment_id FROM order_payment WHERE recorded_at IS NULL"]);
    check_refusal(&harness, &under_way, &pair, "balance_exceeded", async || {}).await;
}

#[tokio::test]
async fn recording_twice_pays_once() {
    let (harness, clock) = orders().await;
    let order_id = with_a_deposit(&harness, clock.now().date_naive()).await;
    let begun = begin(order_id, "700.10");
    harness.deliver(&action_of_a_new_saga("begin-payment"), &begun).await;
    let id = action_of_a_new_saga("record-payment");
    let record = RecordPayment { order_id, payment_id: begun.payment_id, amount: begun.amount };
    let first = harness.deliver(&id, &record).await;
    let again = harness.deliver(&id, &record).await;
    assert_eq!((code(&first), first == again), ("done", true));
    assert_eq!(view(&harness, order_id).await.paid, money("1000.15"));
}
