//! The rules of an order, judged by its domain: for starts that no door has looked at.

use chrono::{Days, NaiveDate};
use contract::{
    Money, OfferId, Outcome,
    order::{CreateOrder, OrderStatus},
};
use kit::{clock::Clock, ids};
use worker_runtime::testkit::{action_of_a_new_saga, compensation_of, conformance::check_refusal};

use crate::common::{an_offer, confirm, create, listed, money, orders, reject, snapshot, view};

/// Orders that each break one rule, and the code of their refusal.
fn broken(today: NaiveDate) -> Vec<(&'static str, CreateOrder, &'static str)> {
    let but = |change: &dyn Fn(&mut CreateOrder)| {
        let mut order = create(ids::user_id());
        change(&mut order);
        order
    };
    let yen = Money::from_parts(1000.into(), "JPY").unwrap();
    let most = money("999999999999999");
    let unborn = (today + Days::new(1)).to_string();
    vec![
        ("a cent for all", but(&|order| order.total = money("0.01")), "order_total_mismatch"),
        ("a cent too little", but(&|order| order.total = money("1000.14")), "order_total_mismatch"),
        ("a cent too much", but(&|order| order.total = money("1000.16")), "order_total_mismatch"),
        ("nothing to pay", but(&|order| order.total = money("0")), "order_total_mismatch"),
        ("only the first item", but(&|order| order.total = money("1000.10")), "order_total_mismatch"),
        ("a total in another currency", but(&|order| order.total = yen), "order_total_mismatch"),
        ("items in two currencies", but(&|order| order.items[1].total = yen), "currencies_mixed"),
        ("more than all money", but(&|order| order.items[0].total = most), "total_too_large"),
        ("no item", but(&|order| order.items.clear()), "order_invalid"),
        ("one item too many", but(&|order| fill(order, 13, 2)), "order_invalid"),
        ("one offer twice", but(&|order| order.items[1].offer_id = order.items[0].offer_id.clone()), "order_invalid"),
        ("no traveller", but(&|order| order.travellers.clear()), "order_invalid"),
        ("one traveller too many", but(&|order| fill(order, 2, 10)), "order_invalid"),
        (
            "a traveller of tomorrow",
            but(&|order| order.travellers[1].born_on = unborn.parse().unwrap()),
            "order_invalid",
        ),
    ]
}

/// So many items and travellers, with the total that belongs to them.
fn fill(order: &mut CreateOrder, items: usize, travellers: usize) {
    let mut item = order.items[0].clone();
    order.items.clear();
    for _ in 0..items {
        item.offer_id = OfferId::Flight(an_offer());
        order.items.push(item.clone());
    }
    order.total = item.total.times(items.try_into().unwrap()).unwrap();
    order.travellers = vec![order.travellers[0].clone(); travellers];
}

#[tokio::test]
async fn an_order_that_breaks_a_rule_is_refused_and_found_as_rejected_with_the_reason() {
    let (harness, clock) = orders().await;
    for (what, order, code) in broken(clock.now().date_naive()) {
        let id = action_of_a_new_saga("create-order");
        let refused = harness.deliver(&id, &order).await;
        let Outcome::Refused(refusal) = refused else { panic!("{what}: {refused:?}") };
        assert_eq!(refusal.code, code, "{what}: {refusal:?}");

        let shown = view(&harness, order.order_id).await;
        assert_eq!(shown.status, OrderStatus::Rejected, "{what}");
        let reason = shown.reason.unwrap();
        assert_eq!((reason.code, &reason.message), (refusal.code, &refusal.message), "{what}");
        assert_eq!(listed(&harness, order.user_id).await, [(order.order_id.to_string(), "rejected".to_owned())]);

        // Its end is final: neither the saga's undo nor a stray confirmation changes it.
        let undone = harness.deliver(&compensation_of(&id), &reject(order.order_id)).await;
        assert!(matches!(undone, Outcome::Done { .. }), "{what}: {undone:?}");
        let confirmed = harness.deliver(&action_of_a_new_saga("confirm-order"), &confirm(order.order_id)).await;
        assert!(!matches!(confirmed, Outcome::Done { .. }), "{what}: {confirmed:?}");
        assert_eq!(view(&harness, order.order_id).await.reason.unwrap().code, code, "{what}");
    }
    assert!(harness.events().await.is_empty(), "an order that never began is no news");
}

#[tokio::test]
async fn a_refused_order_keeps_every_promise_of_the_barrier() {
    let (harness, _) = orders().await;
    let mut order = create(ids::user_id());
    order.total = money("0.01");
    let pair = (order.clone(), reject(order.order_id));
    check_refusal(&harness, &snapshot(), &pair, "order_total_mismatch", async || {}).await;
}

#[tokio::test]
async fn the_largest_order_and_the_youngest_traveller_are_taken() {
    let (harness, clock) = orders().await;
    let mut order = create(ids::user_id());
    fill(&mut order, 12, 9);
    order.travellers[0].born_on = clock.now().date_naive().to_string().parse().unwrap();
    let done = harness.deliver(&action_of_a_new_saga("create-order"), &order).await;
    assert!(matches!(done, Outcome::Done { .. }), "{done:?}");
    assert_eq!(view(&harness, order.order_id).await.status, OrderStatus::Pending);
}
