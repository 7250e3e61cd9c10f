//! The order domain on real PostgreSQL: its commands under the barrier, its events, its reads.

#[cfg(test)]
mod closing;
#[cfg(test)]
mod common;
#[cfg(test)]
mod payments;
#[cfg(test)]
mod rules;

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use chrono::TimeDelta;
    use contract::{
        Event, Outcome,
        order::{OrderConfirmed, OrderRejected, OrderStatus},
    };
    use kit::{clock::Clock, ids};
    use worker_runtime::testkit::{action_of_a_new_saga, compensation_of, conformance::check_pair, cross};

    use crate::common::{confirm, create, get, orders, reject, snapshot, two_workers, view};

    #[tokio::test]
    async fn creating_and_rejecting_keep_every_promise_of_the_barrier() {
        let (harness, _) = orders().await;
        check_pair(&harness, &snapshot(), || {
            let create = create(ids::user_id());
            let reject = reject(create.order_id);
            (create, reject)
        })
        .await;
    }

    #[tokio::test]
    async fn an_order_is_shown_as_it_was_accepted_and_then_confirmed() {
        let (harness, clock) = orders().await;
        let create = create(ids::user_id());
        let id = action_of_a_new_saga("create-order");
        harness.deliver(&id, &create).await;
        let shown = view(&harness, create.order_id).await;
        assert_eq!(shown.status, OrderStatus::Pending);
        assert_eq!((&shown.items, &shown.travellers), (&create.items, &create.travellers));
        assert_eq!((shown.user_id, shown.total, shown.created_at), (create.user_id, create.total, clock.now()));

        clock.advance(TimeDelta::seconds(3));
        let done = harness.deliver(&action_of_a_new_saga("confirm-order"), &confirm(create.order_id)).await;
        assert!(matches!(done, Outcome::Done { .. }));
        let shown = view(&harness, create.order_id).await;
        assert_eq!((shown.status, shown.flight_reference.as_deref()), (OrderStatus::Confirmed, Some("X7K2QP")));
        assert_eq!(shown.updated_at, clock.now());
    }

    #[tokio::test]
    async fn an_order_and_its_people_are_removed_when_the_sale_is_forgotten() {
        let (harness, clock) = orders().await;
        let create = create(ids::user_id());
        harness.deliver(&action_of_a_new_saga("create-order"), &create).await;
        harness.deliver(&action_of_a_new_saga("confirm-order"), &confirm(create.order_id)).await;
        let left = async || {
            let tables = "SELECT ARRAY[(SELECT count(*) FROM orders), (SELECT count(*) FROM order_item),
                                       (SELECT count(*) FROM order_traveller), (SELECT count(*) FROM order_history)]";
            sqlx::query_scalar::<_, Vec<i64>>(tables).fetch_one(harness.pool()).await.unwrap()
        };
        for (days, expected) in [(3_652, [1, 2, 2, 2]), (2, [0, 0, 0, 0])] {
            clock.advance(TimeDelta::days(days));
            harness.prune().await;
            assert_eq!(left().await, expected);
        }
    }

    #[tokio::test]
    async fn an_event_without_a_subscriber_is_stored_nowhere() {
        let (harness, _) = orders().await;
        let (kept, lost) = (create(ids::user_id()), create(ids::user_id()));
        let lost_id = action_of_a_new_saga("create-order");
        harness.deliver(&action_of_a_new_saga("create-order"), &kept).await;
        harness.deliver(&lost_id, &lost).await;
        harness.deliver(&compensation_of(&lost_id), &reject(lost.order_id)).await;
        harness.deliver(&action_of_a_new_saga("confirm-order"), &confirm(kept.order_id)).await;
        assert!((OrderConfirmed::SUBSCRIBERS, OrderRejected::SUBSCRIBERS) == (&[], &[]), "test another event");
        assert!(harness.events().await.is_empty());
    }

    #[tokio::test]
    async fn copies_of_batches_that_cross_do_not_deadlock() {
        let workers = two_workers().await;
        // In the order of their ids, which is the order of locks.
        let mut placed = Vec::new();
        for _ in 0..4 {
            let order = create(ids::user_id());
            workers[0].deliver(&action_of_a_new_saga("create-order"), &order).await;
            placed.push(order.order_id);
        }
        placed.sort_unstable();
        let [first, second, one, other] = placed[..] else { panic!("{placed:?}") };
        let confirming = |order_id| workers[0].envelope(&action_of_a_new_saga("confirm-order"), &confirm(order_id));
        let rejecting = |order_id| workers[0].envelope(&action_of_a_new_saga("reject-order"), &reject(order_id));
        let (confirmed, rejected) = (confirming(one), rejecting(other));
        let batches = [
            vec![confirmed.clone(), rejecting(first), rejected.clone()],
            vec![rejected, confirming(second), confirmed],
        ];
        let hold_up =
            format!("SELECT FROM orders WHERE order_id IN ('{}', '{}') ORDER BY order_id", first.uuid(), second.uuid());
        let crossed = cross(workers, batches, &hold_up).await;
        assert_eq!(crossed.deadlocks, 0);
        let texts = crossed.texts;
        assert!(texts.iter().flatten().all(|text| text.starts_with(r#"{"outcome":"done""#)), "{texts:?}");
    }

    #[tokio::test]
    async fn a_rejected_order_is_never_confirmed_and_a_confirmed_one_never_rejected() {
        let (harness, _) = orders().await;
        let create = create(ids::user_id());
        let id = action_of_a_new_saga("create-order");
        harness.deliver(&id, &create).await;
        harness.deliver(&compensation_of(&id), &reject(create.order_id)).await;
        let confirmed = harness.deliver(&action_of_a_new_saga("confirm-order"), &confirm(create.order_id)).await;
        assert!(!matches!(confirmed, Outcome::Done { .. }));
        let shown = view(&harness, create.order_id).await;
        assert_eq!(shown.status, OrderStatus::Rejected);
        assert_eq!(shown.reason.unwrap().code, "card_declined");

        let other = crate::common::create(ids::user_id());
        let id = action_of_a_new_saga("create-order");
        harness.deliver(&id, &other).await;
        harness.deliver(&action_of_a_new_saga("confirm-order"), &confirm(other.order_id)).await;
        let rejected = harness.deliver(&compensation_of(&id), &reject(other.order_id)).await;
        assert!(matches!(rejected, Outcome::Faulted(_)), "{rejected:?}");
        assert_eq!(view(&harness, other.order_id).await.status, OrderStatus::Confirmed);
    }

    #[tokio::test]
    async fn a_second_saga_cannot_create_the_same_order() {
        let (harness, _) = orders().await;
        let create = create(ids::user_id());
        harness.deliver(&action_of_a_new_saga("create-order"), &create).await;
        let again = harness.deliver(&action_of_a_new_saga("create-order"), &create).await;
        assert!(!matches!(again, Outcome::Done { .. }), "{again:?}");
    }

    #[tokio::test]
    async fn a_persons_orders_come_newest_first_from_any_of_them_on_and_nobody_elses() {
        let (harness, clock) = orders().await;
        let user_id = ids::user_id();
        let mut mine = Vec::new();
        for _ in 0..5 {
            clock.advance(TimeDelta::milliseconds(2));
            let order = create(user_id);
            harness.deliver(&action_of_a_new_saga("create-order"), &order).await;
            harness.deliver(&action_of_a_new_saga("create-order"), &create(ids::user_id())).await;
            mine.insert(0, order.order_id.to_string());
        }
        let (mut seen, mut before) = (Vec::new(), String::new());
        loop {
            let (status, body) = get(&harness, &format!("/orders?user_id={user_id}&limit=2{before}")).await;
            assert_eq!(status, StatusCode::OK);
            let found: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap();
            assert!(found.len() <= 2);
            seen.extend(found.iter().map(|order| order["order_id"].as_str().unwrap().to_owned()));
            match seen.last() {
                Some(last) if !found.is_empty() => before = format!("&before={last}"),
                _ => break,
            }
        }
        assert_eq!(seen, mine);
        let (status, body) = get(&harness, &format!("/orders?user_id={user_id}&limit=4294967295")).await;
        let found: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, found.len()), (StatusCode::OK, mine.len()));
    }

    #[tokio::test]
    async fn wrong_questions_get_clear_answers() {
        let (harness, _) = orders().await;
        assert_eq!(get(&harness, &format!("/orders/{}", ids::order_id())).await.0, StatusCode::NOT_FOUND);
        assert_eq!(get(&harness, "/orders/ord_1").await.0, StatusCode::NOT_FOUND);
        assert_eq!(get(&harness, "/orders").await.0, StatusCode::BAD_REQUEST);
        let made_up = format!("/orders?user_id={}&limit=2&before=ord_1", ids::user_id());
        assert_eq!(get(&harness, &made_up).await.0, StatusCode::BAD_REQUEST);
        sqlx::query("ALTER TABLE orders DROP CONSTRAINT orders_status_check").execute(harness.pool()).await.unwrap();
        let order = create(ids::user_id());
        harness.deliver(&action_of_a_new_saga("create-order"), &order).await;
        sqlx::query("UPDATE orders SET status = 'lost'").execute(harness.pool()).await.unwrap();
        let (status, body) = get(&harness, &format!("/orders/{}", order.order_id)).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!String::from_utf8(body).unwrap().contains("lost"), "a client sees the insides");
    }
}
