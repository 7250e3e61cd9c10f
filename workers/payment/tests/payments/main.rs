//! The payment domain and its sandbox provider on real PostgreSQL: the barrier, the provider's moods, the ledger (S23).

#[cfg(test)]
mod adapters;
#[cfg(test)]
mod by_payment;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod histories_by_payment;
#[cfg(test)]
mod money;
#[cfg(test)]
mod secure;
#[cfg(test)]
mod stripe_server;

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use contract::{
        Outcome,
        payment::{
            REFUSED_CAPTURE, REFUSED_DECLINED, REFUSED_INSUFFICIENT, REFUSED_NOT_AUTHORIZED, REFUSED_TOKEN_UNKNOWN,
            VoidPayment,
        },
    };
    use kit::ids;
    use worker_runtime::testkit::{
        AfterPrepare, Delivered, action_of_a_new_saga, compensation_of,
        conformance::{check_outside_overlap, check_pair, check_refusal, check_refusal_in_set},
        cross,
    };

    use crate::money::{Till, authorize, capture, eur, snapshot, void};

    #[tokio::test]
    async fn authorizing_and_voiding_keep_every_promise_of_the_barrier() {
        for token in ["tok_ok", "tok_timeout_after_commit", "tok_timeout_before_commit"] {
            let till = Till::open().await;
            let pair = || {
                let order = ids::order_id();
                (authorize(order, token), void(order))
            };
            check_pair(&till.harness, &snapshot(), pair).await;
            check_outside_overlap(&till.harness, &snapshot(), pair).await;
            till.assert_sound().await;
        }
    }

    #[tokio::test]
    async fn the_issuers_no_sticks_and_moves_no_money() {
        for (token, code) in [
            ("tok_declined", REFUSED_DECLINED),
            ("tok_insufficient", REFUSED_INSUFFICIENT),
            ("tok_of_a_stranger", REFUSED_TOKEN_UNKNOWN),
        ] {
            let till = Till::open().await;
            let order = ids::order_id();
            check_refusal(&till.harness, &snapshot(), &(authorize(order, token), void(order)), code, async || {}).await;
            assert_eq!(till.count("SELECT count(*) FROM payment WHERE status <> 'failed'").await, 0);
            till.assert_sound().await;
        }
    }

    #[tokio::test]
    async fn a_refusal_within_a_set_keeps_no_other_order_from_its_money() {
        let till = Till::open().await;
        let fresh = || {
            let order = ids::order_id();
            (authorize(order, "tok_ok"), void(order))
        };
        let declined = ids::order_id();
        let refused = (authorize(declined, "tok_declined"), void(declined));
        check_refusal_in_set(&till.harness, &snapshot(), fresh, &refused, REFUSED_DECLINED).await;
        till.assert_sound().await;
    }

    #[tokio::test]
    async fn captures_are_taken_as_a_set_each_with_its_own_answer() {
        let till = Till::open().await;
        let tokens = ["tok_ok", "tok_capture_fails", "tok_auth_expires_fast", "tok_ok", "tok_ok"];
        let orders: Vec<_> = tokens.iter().map(|token| (ids::order_id(), *token)).collect();
        let authorizing: Vec<_> = orders
            .iter()
            .map(|(order, token)| (action_of_a_new_saga("authorize-payment"), authorize(*order, token)))
            .collect();
        let authorized = till.harness.deliver_together(&authorizing).await;
        assert!(authorized.iter().all(|text| text.starts_with(r#"{"outcome":"done""#)), "{authorized:?}");
        let one_statement = "SELECT count(DISTINCT xmin::text) FROM payment";
        assert_eq!(till.count(one_statement).await, 1, "authorizations of a set are recorded together");

        till.clock.advance(TimeDelta::seconds(61));
        let mut capturing: Vec<_> =
            orders.iter().map(|(order, _)| (action_of_a_new_saga("capture-payment"), capture(*order))).collect();
        capturing[3].1.amount = eur("100.01");
        capturing.push((action_of_a_new_saga("capture-payment"), capture(ids::order_id())));
        let taken = till.harness.deliver_together(&capturing).await;
        let ended: Vec<&str> = taken
            .iter()
            .map(|text| match text {
                text if text.starts_with(r#"{"outcome":"done""#) => "done",
                text if text.contains(REFUSED_CAPTURE) => REFUSED_CAPTURE,
                text if text.contains(REFUSED_NOT_AUTHORIZED) => REFUSED_NOT_AUTHORIZED,
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(ended, ["done", REFUSED_CAPTURE, "done", REFUSED_CAPTURE, "done", REFUSED_NOT_AUTHORIZED]);
        assert_eq!(till.harness.deliver_together(&capturing).await, taken, "other answers the second time");
        assert_eq!(till.count("SELECT count(*) FROM ledger_movement WHERE kind = 'capture'").await, 3);
        till.assert_sound().await;

        // What was taken is given back and what was reserved let go, in one set too.
        let undoing: Vec<_> =
            authorizing.iter().map(|(id, command)| (compensation_of(id), void(command.order_id))).collect();
        let undone = till.harness.deliver_together(&undoing).await;
        assert!(undone.iter().all(|text| text.starts_with(r#"{"outcome":"done""#)), "{undone:?}");
        assert_eq!(till.count("SELECT count(*) FROM payment WHERE status IN ('authorized', 'captured')").await, 0);
        till.assert_sound().await;
    }

    #[tokio::test]
    async fn two_captures_of_one_order_in_a_set_take_its_money_once() {
        let till = Till::open().await;
        let order = ids::order_id();
        till.harness.deliver(&action_of_a_new_saga("authorize-payment"), &authorize(order, "tok_ok")).await;
        let twice: Vec<_> = (0..2).map(|_| (action_of_a_new_saga("capture-payment"), capture(order))).collect();
        let ended = till.harness.deliver_together(&twice).await;
        assert!(ended[0].starts_with(r#"{"outcome":"done""#), "{ended:?}");
        assert!(ended[1].starts_with(r#"{"outcome":"faulted""#), "{ended:?}");
        assert_eq!(till.count("SELECT count(*) FROM ledger_movement WHERE kind = 'capture'").await, 1);
        till.assert_sound().await;
    }

    #[tokio::test]
    async fn batches_of_several_kinds_that_cross_do_not_deadlock() {
        let database = private_servers::testing::database("payment_crossing").await;
        let tills = [Till::on(&database).await, Till::on(&database).await];
        // The payments are made in the order of their ids, which is the order of locks.
        let mut orders = Vec::new();
        for _ in 0..4 {
            let order = ids::order_id();
            tills[0].harness.deliver(&action_of_a_new_saga("authorize-payment"), &authorize(order, "tok_ok")).await;
            orders.push(order);
        }
        let [first, second, one, other] = orders[..] else { panic!("{orders:?}") };
        let harness = &tills[0].harness;
        let capturing = |order| harness.envelope(&action_of_a_new_saga("capture-payment"), &capture(order));
        let voiding = |order| harness.envelope(&action_of_a_new_saga("void-payment"), &void(order));
        let (captured, voided) = (capturing(one), voiding(other));
        let batches =
            [vec![captured.clone(), voiding(first), voided.clone()], vec![voided, capturing(second), captured]];
        let hold_up = format!(
            "SELECT FROM payment WHERE order_id IN ('{}', '{}') ORDER BY payment_id",
            first.uuid(),
            second.uuid()
        );
        let workers = tills.map(|till| till.harness);
        let crossed = cross(workers, batches, &hold_up).await;
        assert_eq!(crossed.deadlocks, 0);
        let texts = crossed.texts;
        assert!(texts.iter().flatten().all(|text| text.starts_with(r#"{"outcome":"done""#)), "{texts:?}");
        let till = Till::on(&database).await;
        assert_eq!(till.count("SELECT count(*) FROM ledger_movement WHERE kind = 'capture'").await, 2);
        assert_eq!(till.count("SELECT count(*) FROM ledger_movement WHERE kind = 'void'").await, 2);
        till.assert_sound().await;
    }

    #[tokio::test]
    async fn lost_answers_never_charge_twice() {
        for token in ["tok_timeout_after_commit", "tok_timeout_before_commit"] {
            let till = Till::open().await;
            let order = ids::order_id();
            let id = action_of_a_new_saga("authorize-payment");
            assert!(matches!(till.harness.deliver(&id, &authorize(order, token)).await, Outcome::Done { .. }));
            let taking = action_of_a_new_saga("capture-payment");
            assert!(matches!(till.harness.deliver(&taking, &capture(order)).await, Outcome::Done { .. }));
            assert!(matches!(till.harness.deliver(&compensation_of(&id), &void(order)).await, Outcome::Done { .. }));
            assert_eq!(till.count("SELECT count(*) FROM sandbox.charge").await, 1, "{token}");
            assert_eq!(till.count("SELECT count(*) FROM ledger_movement").await, 3, "{token}");
            till.assert_sound().await;
        }
    }

    #[tokio::test]
    async fn a_call_resumed_the_next_day_finds_what_it_did() {
        let till = Till::open().await;
        let order = ids::order_id();
        let id = action_of_a_new_saga("authorize-payment");
        let AfterPrepare::HalfWay(dying) = till.harness.prepare(&id, &authorize(order, "tok_ok")).await else {
            panic!("no call is due")
        };
        till.harness.call_and_crash(dying).await;
        till.clock.advance(TimeDelta::hours(25));
        assert!(matches!(till.harness.deliver(&id, &authorize(order, "tok_ok")).await, Outcome::Done { .. }));
        assert_eq!(till.count("SELECT count(*) FROM sandbox.charge").await, 1);

        let taking = action_of_a_new_saga("capture-payment");
        let AfterPrepare::HalfWay(dying) = till.harness.prepare(&taking, &capture(order)).await else {
            panic!("no call is due")
        };
        till.harness.call_and_crash(dying).await;
        till.clock.advance(TimeDelta::hours(25));
        assert!(matches!(till.harness.deliver(&taking, &capture(order)).await, Outcome::Done { .. }));
        assert_eq!(till.count("SELECT count(*) FROM ledger_movement WHERE kind = 'capture'").await, 1);
        till.assert_sound().await;
    }

    #[tokio::test]
    async fn what_was_taken_is_given_back_and_what_was_reserved_is_let_go() {
        let till = Till::open().await;
        for (taken, end) in [(false, "voided"), (true, "refunded")] {
            let order = ids::order_id();
            let id = action_of_a_new_saga("authorize-payment");
            till.harness.deliver(&id, &authorize(order, "tok_ok")).await;
            if taken {
                till.harness.deliver(&action_of_a_new_saga("capture-payment"), &capture(order)).await;
            }
            till.harness.deliver(&compensation_of(&id), &void(order)).await;
            let sql = "SELECT count(*) FROM payment JOIN sandbox.charge ON reference = provider_reference
                       WHERE payment.status = charge.status AND charge.status = $1";
            let ended: i64 = sqlx::query_scalar(sql).bind(end).fetch_one(till.harness.pool()).await.unwrap();
            assert_eq!(ended, 1, "{end}");
        }
        till.assert_sound().await;
    }

    #[tokio::test]
    async fn only_what_is_authorized_is_captured_and_only_once() {
        let till = Till::open().await;
        let refused = async |command: &contract::payment::CapturePayment| match till
            .harness
            .deliver(&action_of_a_new_saga("capture-payment"), command)
            .await
        {
            Outcome::Refused(refusal) => refusal.code,
            other => panic!("captured: {other:?}"),
        };
        let order = ids::order_id();
        assert_eq!(refused(&capture(order)).await, REFUSED_NOT_AUTHORIZED);
        let id = action_of_a_new_saga("authorize-payment");
        till.harness.deliver(&id, &authorize(order, "tok_ok")).await;
        let mut more = capture(order);
        more.amount = eur("100.01");
        assert_eq!(refused(&more).await, REFUSED_CAPTURE);
        for _ in 0..2 {
            let taken = till.harness.deliver(&action_of_a_new_saga("capture-payment"), &capture(order)).await;
            assert!(matches!(taken, Outcome::Done { .. }));
        }
        assert_eq!(till.count("SELECT count(*) FROM ledger_movement WHERE kind = 'capture'").await, 1);

        let voided = ids::order_id();
        let id = action_of_a_new_saga("authorize-payment");
        till.harness.deliver(&id, &authorize(voided, "tok_ok")).await;
        till.harness.deliver(&compensation_of(&id), &void(voided)).await;
        assert_eq!(refused(&capture(voided)).await, REFUSED_NOT_AUTHORIZED);

        let failing = ids::order_id();
        let id = action_of_a_new_saga("authorize-payment");
        till.harness.deliver(&id, &authorize(failing, "tok_capture_fails")).await;
        assert_eq!(refused(&capture(failing)).await, REFUSED_CAPTURE);
        let undone = till.harness.deliver(&compensation_of(&id), &void(failing)).await;
        assert!(matches!(undone, Outcome::Done { .. }));
        till.assert_sound().await;
    }

    #[tokio::test]
    async fn a_lapsed_authorization_is_given_again_and_captured_once() {
        let till = Till::open().await;
        for token in ["tok_ok", "tok_timeout_after_commit", "tok_timeout_before_commit"] {
            let late = ids::order_id();
            till.harness.deliver(&action_of_a_new_saga("authorize-payment"), &authorize(late, token)).await;
            till.clock.advance(TimeDelta::days(8));
            let taking = action_of_a_new_saga("capture-payment");
            let taken = till.harness.deliver(&taking, &capture(late)).await;
            assert!(matches!(taken, Outcome::Done { .. }), "{token}: {taken:?}");
            assert_eq!(till.harness.deliver(&taking, &capture(late)).await, taken, "{token}");
            till.assert_sound().await;
        }
        assert_eq!(till.count("SELECT count(*) FROM ledger_movement WHERE kind = 'capture'").await, 3);
        assert_eq!(till.count("SELECT count(*) FROM ledger_movement WHERE kind = 'void'").await, 3);
        assert_eq!(till.count("SELECT count(*) FROM ledger_movement WHERE kind = 'authorize'").await, 6);
        assert_eq!(till.count("SELECT count(*) FROM payment WHERE status = 'captured'").await, 3);
    }

    #[tokio::test]
    async fn an_authorization_that_lapses_on_the_way_to_the_provider_is_given_again() {
        let till = Till::open().await;
        let token = "tok_auth_expires_fast";
        let quick = ids::order_id();
        till.harness.deliver(&action_of_a_new_saga("authorize-payment"), &authorize(quick, token)).await;
        till.clock.advance(TimeDelta::seconds(59));
        let taken = till.harness.deliver(&action_of_a_new_saga("capture-payment"), &capture(quick)).await;
        assert!(matches!(taken, Outcome::Done { .. }), "{taken:?}");

        let slow = ids::order_id();
        till.harness.deliver(&action_of_a_new_saga("authorize-payment"), &authorize(slow, token)).await;
        // In time when it is prepared, too late when the provider hears of it.
        let taking = action_of_a_new_saga("capture-payment");
        let AfterPrepare::HalfWay(dying) = till.harness.prepare(&taking, &capture(slow)).await else {
            panic!("no call is due")
        };
        till.clock.advance(TimeDelta::seconds(60));
        let Delivered::Answered(answer) = till.harness.finish_half_way(dying).await else { panic!("not answered") };
        assert!(answer.contains(r#""done""#), "{answer}");
        till.assert_sound().await;
    }

    #[tokio::test]
    async fn the_sandbox_forgets_what_was_given_back_and_keeps_what_was_taken() {
        let till = Till::open().await;
        let (kept, voided) = (ids::order_id(), ids::order_id());
        for order in [kept, voided] {
            let id = action_of_a_new_saga("authorize-payment");
            till.harness.deliver(&id, &authorize(order, "tok_ok")).await;
            if order == kept {
                till.harness.deliver(&action_of_a_new_saga("capture-payment"), &capture(order)).await;
            } else {
                till.harness.deliver(&compensation_of(&id), &void(order)).await;
            }
        }
        till.clock.advance(TimeDelta::days(30));
        till.harness.prune().await;
        assert_eq!(till.count("SELECT count(*) FROM sandbox.try").await, 4);
        till.clock.advance(TimeDelta::days(80));
        till.harness.prune().await;
        assert_eq!(till.count("SELECT count(*) FROM sandbox.try").await, 0);
        assert_eq!(till.count("SELECT count(*) FROM sandbox.charge WHERE status = 'captured'").await, 1);
        assert_eq!(till.count("SELECT count(*) FROM sandbox.charge").await, 1);
    }

    #[tokio::test]
    async fn a_second_saga_gets_no_second_authorization_of_an_order() {
        let till = Till::open().await;
        let order = ids::order_id();
        let (first, second) = (action_of_a_new_saga("authorize-payment"), action_of_a_new_saga("authorize-payment"));
        // Neither has an answer yet: the payment that was begun first stands in the way of the other.
        let AfterPrepare::HalfWay(one) = till.harness.prepare(&first, &authorize(order, "tok_ok")).await else {
            panic!("no call is due")
        };
        let two = till.harness.deliver(&second, &authorize(order, "tok_ok")).await;
        assert!(matches!(two, Outcome::Faulted(_)), "{two:?}");
        let done = |delivered: &Delivered| matches!(delivered, Delivered::Answered(text) if text.contains(r#""done""#));
        assert!(done(&till.harness.finish_half_way(one).await));
        // Its saga turns around, and the provider is left with one authorization.
        let undone = till.harness.deliver(&compensation_of(&second), &VoidPayment { order_id: order }).await;
        assert!(matches!(undone, Outcome::Done { .. }));
        assert_eq!(till.count("SELECT count(*) FROM sandbox.charge WHERE status = 'authorized'").await, 1);
        assert_eq!(till.count("SELECT count(*) FROM payment WHERE status = 'authorized'").await, 1);
        till.assert_sound().await;
    }

    #[tokio::test]
    async fn the_ledger_takes_nothing_back_and_nothing_lopsided() {
        let till = Till::open().await;
        till.harness.deliver(&action_of_a_new_saga("authorize-payment"), &authorize(ids::order_id(), "tok_ok")).await;
        for sql in [
            "UPDATE ledger_line SET amount = amount * 2",
            "DELETE FROM ledger_line",
            "TRUNCATE ledger_line",
            "UPDATE ledger_movement SET at = now()",
            "DELETE FROM ledger_movement",
            "INSERT INTO ledger_line (movement_id, account, amount, currency)
             SELECT movement_id, 'client_deposits', 1, 'EUR' FROM ledger_movement",
        ] {
            let refused = sqlx::query(sql).execute(till.harness.pool()).await;
            assert!(refused.is_err(), "{sql}");
        }
        till.assert_sound().await;
    }

    #[tokio::test]
    async fn the_database_itself_refuses_to_capture_or_refund_too_much() {
        let till = Till::open().await;
        till.harness.deliver(&action_of_a_new_saga("authorize-payment"), &authorize(ids::order_id(), "tok_ok")).await;
        for sql in [
            "UPDATE payment SET status = 'captured', captured_amount = authorized_amount + 0.01",
            "UPDATE payment SET refunded_amount = 0.01",
            "UPDATE payment SET status = 'voided', captured_amount = 1",
            "INSERT INTO payment (payment_id, order_id, saga_id, status, currency, authorized_amount, provider_reference,
                                  capture_before, created_at, updated_at)
             SELECT gen_random_uuid(), order_id, saga_id, status, currency, authorized_amount, 'another', capture_before,
                    created_at, updated_at FROM payment",
        ] {
            assert!(sqlx::query(sql).execute(till.harness.pool()).await.is_err(), "{sql}");
        }
    }
}
