//! Random histories of one order's payment: deliveries, copies, crashes after each part, in any order.

use contract::{CommandId, Op, Outcome};
use kit::ids;
use proptest::{prelude::*, test_runner::TestRunner};
use worker_runtime::testkit::{AfterPrepare, Delivered, HalfWay, action_of_a_new_saga, compensation_of};

use crate::money::{Till, authorize, capture, void};

const TOKENS: [&str; 7] = [
    "tok_ok",
    "tok_declined",
    "tok_insufficient",
    "tok_timeout_after_commit",
    "tok_timeout_before_commit",
    "tok_capture_fails",
    "tok_auth_expires_fast",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Authorize,
    Capture,
    Void,
}

/// How far a delivery gets before its worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Dies after the prepare.
    Prepare,
    /// Dies after the call.
    Call,
    /// Prepares now, and goes on only when all else is over: the slowest of all calls.
    Slow,
    Answer,
}

fn asks() -> impl Strategy<Value = Vec<(Ask, Reach)>> {
    let ask = prop_oneof![3 => Just(Ask::Authorize), 1 => Just(Ask::Capture), 2 => Just(Ask::Void)];
    let reach = prop_oneof![2 => Just(Reach::Answer), 1 => Just(Reach::Prepare), 1 => Just(Reach::Call), 1 => Just(Reach::Slow)];
    prop::collection::vec((ask, reach), 1..10)
}

#[test]
fn after_any_history_the_money_is_where_the_books_say() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let till = runtime.block_on(Till::open());
    let mut runner = TestRunner::new(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() });
    let ran = runner.run(&(0..TOKENS.len(), asks()), |(token, asks)| {
        runtime.block_on(one_history(&till, TOKENS[token], &asks));
        Ok(())
    });
    ran.unwrap();
}

async fn one_history(till: &Till, token: &str, asks: &[(Ask, Reach)]) {
    let order = ids::order_id();
    let authorizing = action_of_a_new_saga("authorize-payment");
    let capturing = CommandId { step: "capture-payment".parse().unwrap(), op: Op::Action, ..authorizing.clone() };
    let voiding = compensation_of(&authorizing);
    let mut slow = Vec::new();
    let mut answers = Vec::new();
    let (mut voids, mut captures) = (false, false);
    for (ask, reach) in asks {
        let prepared = match ask {
            Ask::Authorize => till.harness.prepare(&authorizing, &authorize(order, token)).await,
            Ask::Capture => till.harness.prepare(&capturing, &capture(order)).await,
            Ask::Void => {
                voids = true;
                till.harness.prepare(&voiding, &void(order)).await
            }
        };
        captures |= *ask == Ask::Capture;
        match prepared {
            AfterPrepare::Answered(text) => answers.push((*ask, text)),
            AfterPrepare::HalfWay(half_way) => match *reach {
                Reach::Prepare => drop(half_way),
                Reach::Call => till.harness.call_and_crash(half_way).await,
                Reach::Slow => slow.push((*ask, half_way)),
                Reach::Answer => answers.push((*ask, finish(till, half_way).await)),
            },
        }
    }
    for (ask, half_way) in slow {
        answers.push((ask, finish(till, half_way).await));
    }
    // The order's saga asks for a capture until it is answered.
    if captures {
        let taken = till.harness.deliver_text(&capturing, &capture(order)).await;
        answers.push((Ask::Capture, taken));
    }
    // The saga ends one way or the other: everything that was begun is asked again until it is answered.
    if voids {
        let undone = till.harness.deliver(&voiding, &void(order)).await;
        assert!(matches!(undone, Outcome::Done { .. }), "{undone:?}");
    }
    till.harness.deliver(&authorizing, &authorize(order, token)).await;
    answers.retain(|(_, text)| !text.contains("faulted"));
    for ask in [Ask::Authorize, Ask::Capture, Ask::Void] {
        let mut same = answers.iter().filter(|(asked, _)| *asked == ask).map(|(_, text)| text);
        if let Some(first) = same.next() {
            assert!(same.all(|text| text == first), "{ask:?} was answered in two ways: {answers:?}");
        }
    }
    let live: i64 =
        sqlx::query_scalar("SELECT count(*) FROM payment WHERE order_id = $1 AND status IN ('authorized', 'captured')")
            .bind(order.uuid())
            .fetch_one(till.harness.pool())
            .await
            .unwrap();
    let granted = !matches!(token, "tok_declined" | "tok_insufficient");
    assert_eq!(live, i64::from(granted && !voids));
    till.assert_sound().await;
}

async fn finish(till: &Till, half_way: HalfWay) -> String {
    match till.harness.finish_half_way(half_way).await {
        Delivered::Answered(text) => text,
        other => panic!("not answered: {other:?}"),
    }
}
