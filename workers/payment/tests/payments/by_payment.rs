//! The second version of the commands: payments by their own ids.

use std::cell::RefCell;

use chrono::TimeDelta;
use contract::{
    Command, CommandId, Money, Op, Outcome,
    payment::{
        PaymentCaptured, PaymentStatus, PaymentView, REFUSED_AUTHENTICATION_REQUIRED, REFUSED_CAPTURE,
        REFUSED_DECLINED, REFUSED_NOT_AUTHORIZED, REFUSED_PAYMENT_EXISTS, REFUSED_REFUND,
        v2::{CapturePayment, PaymentAuthorization, PaymentRefunded, RefundPayment},
    },
};
use kit::ids;
use worker_runtime::testkit::{
    AfterPrepare, Delivered, Snapshot, action_of_a_new_saga, compensation_of,
    conformance::{check_outside_overlap, check_pair, check_refusal, check_refusal_in_set},
    lab::get,
};

use crate::money::{Paying, Till, authorize, eur, snapshot, void};

fn code<R: std::fmt::Debug>(outcome: Outcome<R>) -> String {
    match outcome {
        Outcome::Done { .. } => "done".to_owned(),
        Outcome::Refused(refusal) => refusal.code,
        Outcome::Faulted(_) => "fault".to_owned(),
    }
}

#[tokio::test]
async fn authorizing_and_voiding_by_payment_keep_every_promise_of_the_barrier() {
    for token in ["tok_ok", "tok_timeout_after_commit", "tok_timeout_before_commit", "tok_3ds"] {
        let till = Till::open().await;
        let pair = || {
            let paying = Paying::new();
            (paying.authorize(token), paying.void())
        };
        check_pair(&till.harness, &snapshot(), pair).await;
        check_outside_overlap(&till.harness, &snapshot(), pair).await;
        till.assert_sound().await;
    }
}

/// As many payments as one run of the kit may use.
const PREPARED: usize = 40;

/// Payments that have come so far, to be taken one by one.
async fn prepared(till: &Till, token: &str, approved: bool, count: usize) -> RefCell<Vec<Paying>> {
    let mut all = Vec::new();
    for _ in 0..count {
        let paying = Paying::new();
        assert_eq!(code(till.harness.deliver(&paying.authorizing, &paying.authorize(token)).await), "done");
        if approved {
            till.act(paying.payment_id, "approve").await;
        }
        all.push(paying);
    }
    RefCell::new(all)
}

#[tokio::test]
async fn completing_and_voiding_keep_every_promise_of_the_barrier() {
    let till = Till::open().await;
    let approved = prepared(&till, "tok_3ds", true, PREPARED).await;
    let all = approved.borrow().clone();
    let pair = || {
        let paying = approved.borrow_mut().pop().expect("there are enough");
        (paying.complete(), paying.void())
    };
    let authorized = Snapshot::new([
        "SELECT payment_id FROM payment WHERE status = 'authorized'",
        "SELECT account, sum(amount) FROM ledger_line GROUP BY account HAVING sum(amount) <> 0",
    ]);
    check_pair(&till.harness, &authorized, pair).await;
    check_outside_overlap(&till.harness, &authorized, pair).await;
    // Where the undo came first it undid nothing: the step that began the payment has an undo of its own.
    for paying in &all {
        assert_eq!(code(till.harness.deliver(&compensation_of(&paying.authorizing), &paying.void()).await), "done");
    }
    till.assert_sound().await;
}

/// The promises of the barrier for a step that is not undone, with `step` of five payments.
async fn check_step<C>(till: &Till, payings: &[Paying], name: &str, step: impl Fn(&Paying) -> C)
where
    C: Command<Reply: std::fmt::Debug>,
{
    let ((last, first), id) = (payings.split_last().expect("there are five"), |paying: &Paying| paying.step(name));
    // Twice and together: one effect and one answer each.
    let together: Vec<_> = first.iter().map(|paying| till.harness.envelope(&id(paying), &step(paying))).collect();
    let answers = till.harness.deliver_all(&together).await;
    assert!(answers.iter().all(|text| text.contains("done")), "{answers:?}");
    assert_eq!(till.harness.deliver_all(&together).await, answers);
    till.assert_sound().await;
    // Dead after the prepare, dead again after the call, then alive.
    for called in [false, true] {
        match till.harness.prepare(&id(last), &step(last)).await {
            AfterPrepare::HalfWay(half_way) if called => till.harness.call_and_crash(half_way).await,
            AfterPrepare::HalfWay(half_way) => drop(half_way),
            AfterPrepare::Answered(text) => panic!("answered before its call: {text}"),
        }
    }
    assert_eq!(code(till.harness.deliver(&id(last), &step(last)).await), "done");
    till.assert_sound().await;
}

#[tokio::test]
async fn captures_and_refunds_keep_the_promises_of_the_barrier_that_are_for_what_is_not_undone() {
    for token in ["tok_ok", "tok_timeout_after_commit", "tok_timeout_before_commit"] {
        let till = Till::open().await;
        let payings = prepared(&till, token, false, 5).await.into_inner();
        check_step(&till, &payings, "capture-a-part", |paying| paying.capture_a_part("25.00")).await;
        check_step(&till, &payings, "capture-the-rest", |paying| paying.capture("35.00")).await;
        check_step(&till, &payings, "refund-a-part", |paying| paying.refund("20.00")).await;
        check_step(&till, &payings, "refund-the-rest", |paying| paying.refund("40.00")).await;
        let given_back = "SELECT count(*) FROM payment WHERE status = 'refunded' AND refunded_amount = 60";
        assert_eq!(till.count(given_back).await, 5);
    }
}

#[tokio::test]
async fn a_payment_is_captured_in_parts_and_its_undo_lets_the_rest_go_too() {
    let till = Till::open().await;
    for (last, end) in
        [("captured", "captured 60.00 0.00"), ("undone", "refunded 50.00 50.00"), ("lapsed", "refunded 50.00 50.00")]
    {
        let paying = Paying::new();
        till.harness.deliver(&paying.authorizing, &paying.authorize("tok_ok")).await;
        let capture =
            async |name: &str, command: CapturePayment| code(till.harness.deliver(&paying.step(name), &command).await);
        for (name, amount) in [("first", "30.00"), ("second", "20.00"), ("first", "30.00"), ("second", "20.00")] {
            assert_eq!(capture(name, paying.capture_a_part(amount)).await, "done");
            assert_eq!(till.status_of(paying.payment_id).await.as_deref(), Some("authorized"));
        }
        till.assert_sound().await;
        assert_eq!(capture("too-much", paying.capture_a_part("50.01")).await, REFUSED_CAPTURE);
        match last {
            "captured" => assert_eq!(capture("third", paying.capture("10.00")).await, "done"),
            "lapsed" => {
                till.clock.advance(TimeDelta::days(8));
                assert_eq!(capture("third", paying.capture("10.00")).await, REFUSED_CAPTURE);
            }
            _ => {}
        }
        if last != "captured" {
            assert_eq!(code(till.harness.deliver(&compensation_of(&paying.authorizing), &paying.void()).await), "done");
        }
        let sql = "SELECT status || ' ' || round(captured_amount, 2) || ' ' || round(refunded_amount, 2) FROM payment
                   WHERE payment_id = $1";
        let stands: String =
            sqlx::query_scalar(sql).bind(paying.payment_id.uuid()).fetch_one(till.harness.pool()).await.unwrap();
        assert_eq!(stands, end, "{last}");
        till.assert_sound().await;
    }
}

#[tokio::test]
async fn a_payment_is_given_back_in_parts_and_what_is_left_by_its_undo() {
    let till = Till::open().await;
    let paying = Paying::new();
    let refund =
        async |name: &str, amount: &str| till.harness.deliver(&paying.step(name), &paying.refund(amount)).await;
    assert_eq!(code(refund("too-early", "1.00").await), REFUSED_REFUND);
    till.harness.deliver(&paying.authorizing, &paying.authorize("tok_ok")).await;
    assert_eq!(code(refund("not-taken", "1.00").await), REFUSED_REFUND);
    till.harness.deliver(&paying.step("capture-payment"), &paying.capture("80.00")).await;
    for (name, amount, refunded) in [("first", "30.00", "30.00"), ("second", "20.00", "50.00")] {
        for _ in 0..2 {
            assert_eq!(refund(name, amount).await, Outcome::done(PaymentRefunded { refunded: eur(refunded) }));
        }
    }
    assert_eq!(code(refund("too-much", "30.01").await), REFUSED_REFUND);
    assert_eq!(code(refund("nothing", "0.00").await), REFUSED_REFUND);
    let dollars = RefundPayment { amount: Money::from_parts(1.into(), "USD").unwrap(), ..paying.refund("1.00") };
    assert_eq!(code(till.harness.deliver(&paying.step("dollars"), &dollars).await), REFUSED_REFUND);
    let address = format!("/internal/payment/payments/{}", paying.payment_id);
    let shown: PaymentView = serde_json::from_value(get(&till.harness.reads(), &address).await.1).unwrap();
    assert_eq!((shown.status, shown.refunded), (PaymentStatus::Captured, Some(eur("50.00"))));
    till.assert_sound().await;

    // While the provider is asked for one refund, neither another nor the undo is begun.
    let AfterPrepare::HalfWay(under_way) = till.harness.prepare(&paying.step("third"), &paying.refund("10.00")).await
    else {
        panic!("answered before its call")
    };
    assert_eq!(code(refund("fourth", "5.00").await), "fault");
    assert_eq!(code(till.harness.deliver(&compensation_of(&paying.authorizing), &paying.void()).await), "fault");
    assert!(matches!(till.harness.finish_half_way(under_way).await, Delivered::Answered(_)));

    assert_eq!(code(till.harness.deliver(&compensation_of(&paying.authorizing), &paying.void()).await), "done");
    assert_eq!(till.status_of(paying.payment_id).await.as_deref(), Some("refunded"));
    assert_eq!(till.count("SELECT count(*) FROM sandbox.refund").await, 4);
    assert_eq!(code(refund("too-late", "1.00").await), REFUSED_REFUND);
    till.assert_sound().await;
}

#[tokio::test]
async fn a_refused_payment_sticks_within_a_set_and_alone() {
    let till = Till::open().await;
    let refused = Paying::new();
    let pair = (refused.authorize("tok_declined"), refused.void());
    check_refusal(&till.harness, &snapshot(), &pair, REFUSED_DECLINED, async || {}).await;
    let fresh = || {
        let paying = Paying::new();
        (paying.authorize("tok_ok"), paying.void())
    };
    let refused = Paying::new();
    let pair = (refused.authorize("tok_declined"), refused.void());
    check_refusal_in_set(&till.harness, &snapshot(), fresh, &pair, REFUSED_DECLINED).await;
    till.assert_sound().await;
}

#[tokio::test]
async fn an_order_is_paid_by_a_deposit_and_then_the_balance_and_reads_show_both() {
    let till = Till::open().await;
    let order = ids::order_id();
    let (deposit, balance) = (Paying::of(order), Paying::of(order));
    for paying in [&deposit, &balance] {
        let given = till.harness.deliver(&paying.authorizing, &paying.authorize("tok_ok")).await;
        assert!(matches!(given, Outcome::Done { reply: PaymentAuthorization::Authorized { .. } }), "{given:?}");
        // Less than was reserved: the rest is let go.
        let taken = till.harness.deliver(&paying.step("capture-payment"), &paying.capture("60.00")).await;
        assert_eq!(taken, Outcome::done(PaymentCaptured { payment_id: paying.payment_id }));
        let again = till.harness.deliver(&paying.step("capture-again"), &paying.capture("60.00")).await;
        assert_eq!(again, taken);
        let more = till.harness.deliver(&paying.step("capture-more"), &paying.capture("61.00")).await;
        assert_eq!(code(more), REFUSED_CAPTURE);
    }
    let third = Paying::of(order);
    till.harness.deliver(&third.authorizing, &third.authorize("tok_declined")).await;

    let (status, all) = get(&till.harness.reads(), &format!("/internal/payment/payments?order_id={order}")).await;
    let all: Vec<PaymentView> = serde_json::from_value(all).unwrap();
    assert_eq!((status, all.len()), (200, 3));
    let shown: Vec<_> = all.iter().map(|view| (view.payment_id, view.status)).collect();
    assert_eq!(
        shown,
        [
            (deposit.payment_id, PaymentStatus::Captured),
            (balance.payment_id, PaymentStatus::Captured),
            (third.payment_id, PaymentStatus::Failed),
        ]
    );
    assert_eq!(all[2].failure_code.as_deref(), Some(REFUSED_DECLINED));
    let address = format!("/internal/payment/payments/{}", deposit.payment_id);
    let (status, one) = get(&till.harness.reads(), &address).await;
    assert_eq!((status, serde_json::from_value::<PaymentView>(one).unwrap()), (200, all[0].clone()));
    assert_eq!((all[0].amount, all[0].user_id), (eur("100.00"), Some(deposit.user_id)));
    let unknown = format!("/internal/payment/payments/{}", ids::payment_id());
    assert_eq!(get(&till.harness.reads(), &unknown).await.0, 404);
    till.assert_sound().await;
}

#[tokio::test]
async fn an_order_has_one_open_payment_and_a_payment_one_saga() {
    let till = Till::open().await;
    let order = ids::order_id();
    let (first, second) = (Paying::of(order), Paying::of(order));
    till.harness.deliver(&first.authorizing, &first.authorize("tok_ok")).await;
    assert_eq!(code(till.harness.deliver(&second.authorizing, &second.authorize("tok_ok")).await), "fault");
    let stranger = action_of_a_new_saga("authorize-payment");
    let taken = till.harness.deliver(&stranger, &first.authorize("tok_ok")).await;
    assert_eq!(code(taken), REFUSED_PAYMENT_EXISTS);
    // The stranger's saga turns around, and takes nothing from the first.
    till.harness.deliver(&compensation_of(&stranger), &first.void()).await;
    assert_eq!(till.status_of(first.payment_id).await.as_deref(), Some("authorized"));
    till.assert_sound().await;
}

#[tokio::test]
async fn a_refused_payment_is_begun_again_by_the_saga_that_an_operator_retries() {
    let till = Till::open().await;
    let paying = Paying::new();
    assert_eq!(
        code(till.harness.deliver(&paying.authorizing, &paying.authorize("tok_insufficient")).await),
        "insufficient_funds"
    );
    let retried = CommandId { generation: 2, ..paying.authorizing.clone() };
    assert_eq!(code(till.harness.deliver(&retried, &paying.authorize("tok_ok")).await), "done");
    assert_eq!(till.status_of(paying.payment_id).await.as_deref(), Some("authorized"));
    till.assert_sound().await;
}

#[tokio::test]
async fn a_lapsed_authorization_is_let_go_as_lapsed_or_given_again_and_captured() {
    let till = Till::open().await;
    for (taken, end) in [(false, "voided"), (true, "captured")] {
        let paying = Paying::new();
        till.harness.deliver(&paying.authorizing, &paying.authorize("tok_ok")).await;
        till.clock.advance(TimeDelta::days(8));
        if taken {
            let captured = till.harness.deliver(&paying.step("capture-payment"), &paying.capture("100.00")).await;
            assert_eq!(captured, Outcome::done(PaymentCaptured { payment_id: paying.payment_id }));
        } else {
            assert_eq!(code(till.harness.deliver(&compensation_of(&paying.authorizing), &paying.void()).await), "done");
        }
        assert_eq!(till.status_of(paying.payment_id).await.as_deref(), Some(end));
    }
    till.assert_sound().await;
}

#[tokio::test]
async fn what_a_person_did_at_the_provider_by_hand_is_found_and_given_back() {
    let till = Till::open().await;
    let by_hand = async |paying: &Paying, change: &'static str| {
        sqlx::query(change).bind(paying.payment_id.uuid()).execute(till.harness.pool()).await.unwrap();
    };
    let capture = "UPDATE sandbox.charge SET status = 'captured', captured_amount = 80 WHERE payment_id = $1";
    let cancel = "UPDATE sandbox.charge SET status = 'voided' WHERE payment_id = $1";
    let refund =
        "UPDATE sandbox.charge SET status = 'refunded', refunded_amount = captured_amount WHERE payment_id = $1";
    for (change, taken, end) in [(capture, false, "refunded"), (cancel, false, "voided"), (refund, true, "refunded")] {
        let paying = Paying::new();
        till.harness.deliver(&paying.authorizing, &paying.authorize("tok_ok")).await;
        if taken {
            till.harness.deliver(&paying.step("capture-payment"), &paying.capture("100.00")).await;
        }
        by_hand(&paying, change).await;
        let undone = till.harness.deliver(&compensation_of(&paying.authorizing), &paying.void()).await;
        assert_eq!(code(undone), "done", "{change}");
        assert_eq!(till.status_of(paying.payment_id).await.as_deref(), Some(end), "{change}");
        till.assert_sound().await;
    }
}

#[tokio::test]
async fn the_first_version_cannot_wait_for_the_client_and_reserves_nothing() {
    let till = Till::open().await;
    let order = ids::order_id();
    let id = action_of_a_new_saga("authorize-payment");
    let refused = till.harness.deliver(&id, &authorize(order, "tok_3ds")).await;
    assert_eq!(code(refused), REFUSED_AUTHENTICATION_REQUIRED);
    till.harness.deliver(&CommandId { op: Op::Compensation, ..id }, &void(order)).await;
    assert_eq!(till.count("SELECT count(*) FROM sandbox.charge WHERE status <> 'voided'").await, 0);
    till.assert_sound().await;
}

#[tokio::test]
async fn only_an_authorized_payment_is_captured() {
    let till = Till::open().await;
    let paying = Paying::new();
    let refused = till.harness.deliver(&paying.step("capture-payment"), &paying.capture("1.00")).await;
    assert_eq!(code(refused), REFUSED_NOT_AUTHORIZED);
    let paying = Paying::new();
    till.harness.deliver(&paying.authorizing, &paying.authorize("tok_3ds")).await;
    let refused = till.harness.deliver(&paying.step("capture-payment"), &paying.capture("1.00")).await;
    assert_eq!(code(refused), REFUSED_NOT_AUTHORIZED);
    let paying = Paying::new();
    till.harness.deliver(&paying.authorizing, &paying.authorize("tok_ok")).await;
    for (name, amount) in [("too-much", "100.01"), ("nothing", "0.00")] {
        let refused = till.harness.deliver(&paying.step(name), &paying.capture(amount)).await;
        assert_eq!(code(refused), REFUSED_CAPTURE, "{name}");
    }
    till.assert_sound().await;
}
