//! Random histories of one payment by the second version of the commands: deliveries, crashes after each part, and a client
//! who acts at any time.

use contract::Outcome;
use proptest::{prelude::*, test_runner::TestRunner};
use worker_runtime::testkit::{AfterPrepare, Delivered, HalfWay, compensation_of};

use crate::money::{Paying, Till};

const TOKENS: [&str; 8] = [
    "tok_ok",
    "tok_declined",
    "tok_timeout_after_commit",
    "tok_timeout_before_commit",
    "tok_capture_fails",
    "tok_auth_expires_fast",
    "tok_3ds",
    "tok_3ds_forged",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Authorize,
    Complete,
    Capture,
    /// A part is given back.
    Refund,
    Void,
    /// The client approves on the page.
    Approve,
    /// The client turns it down.
    Decline,
}

/// How far a delivery gets before its worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Dies after the prepare.
    Prepare,
    /// Prepares now, and goes on only when all else is over: the slowest of all calls.
    Slow,
    Answer,
}

fn asks() -> impl Strategy<Value = Vec<(Ask, Reach)>> {
    let ask = prop_oneof![
        3 => Just(Ask::Authorize), 2 => Just(Ask::Complete), 1 => Just(Ask::Capture), 1 => Just(Ask::Refund), 2 => Just(Ask::Void),
        2 => Just(Ask::Approve), 1 => Just(Ask::Decline)
    ];
    let reach = prop_oneof![3 => Just(Reach::Answer), 1 => Just(Reach::Prepare), 1 => Just(Reach::Slow)];
    prop::collection::vec((ask, reach), 1..12)
}

#[test]
fn after_any_history_of_a_payment_the_money_is_where_the_books_say() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let till = runtime.block_on(Till::open());
    let mut runner = TestRunner::new(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() });
    let ran = runner.run(&(0..TOKENS.len(), asks()), |(token, asks)| {
        runtime.block_on(one_history(&till, TOKENS[token], &asks));
        Ok(())
    });
    ran.unwrap();
}

async fn prepare(till: &Till, paying: &Paying, token: &str, ask: Ask) -> Option<AfterPrepare> {
    let harness = &till.harness;
    Some(match ask {
        Ask::Authorize => harness.prepare(&paying.authorizing, &paying.authorize(token)).await,
        // A saga asks only for what it has begun.
        Ask::Complete if till.status_of(paying.payment_id).await.is_none() => return None,
        Ask::Complete => harness.prepare(&paying.step("complete-authorization"), &paying.complete()).await,
        Ask::Capture => harness.prepare(&paying.step("capture-payment"), &paying.capture("100.00")).await,
        Ask::Refund => harness.prepare(&paying.step("refund-payment"), &paying.refund("40.00")).await,
        Ask::Void => harness.prepare(&compensation_of(&paying.authorizing), &paying.void()).await,
        Ask::Approve => {
            till.act(paying.payment_id, "approve").await;
            return None;
        }
        Ask::Decline => {
            till.act(paying.payment_id, "decline").await;
            return None;
        }
    })
}

async fn one_history(till: &Till, token: &str, asks: &[(Ask, Reach)]) {
    let paying = Paying::new();
    let (mut slow, mut answers) = (Vec::new(), Vec::new());
    for (ask, reach) in asks {
        match prepare(till, &paying, token, *ask).await {
            None => {}
            Some(AfterPrepare::Answered(text)) => answers.push((*ask, text)),
            Some(AfterPrepare::HalfWay(half_way)) => match *reach {
                Reach::Prepare => drop(half_way),
                Reach::Slow => slow.push((*ask, half_way)),
                Reach::Answer => answers.push((*ask, finish(till, half_way).await)),
            },
        }
    }
    for (ask, half_way) in slow {
        answers.push((ask, finish(till, half_way).await));
    }
    let asked = |wanted: Ask| asks.iter().any(|(ask, _)| *ask == wanted);
    // The saga ends one way or the other: everything that was begun is asked again until it is answered.
    if asked(Ask::Capture) {
        let capturing = paying.step("capture-payment");
        answers.push((Ask::Capture, till.harness.deliver_text(&capturing, &paying.capture("100.00")).await));
    }
    if asked(Ask::Refund) {
        let refunding = paying.step("refund-payment");
        answers.push((Ask::Refund, till.harness.deliver_text(&refunding, &paying.refund("40.00")).await));
    }
    if asked(Ask::Void) {
        let undone = till.harness.deliver(&compensation_of(&paying.authorizing), &paying.void()).await;
        assert!(matches!(undone, Outcome::Done { .. }), "{undone:?}");
    }
    answers.push((Ask::Authorize, till.harness.deliver_text(&paying.authorizing, &paying.authorize(token)).await));
    till.act(paying.payment_id, "approve").await;
    let completing = paying.step("complete-authorization");
    answers.push((Ask::Complete, till.harness.deliver_text(&completing, &paying.complete()).await));
    answers.retain(|(_, text)| !text.contains("faulted"));
    for ask in [Ask::Authorize, Ask::Complete, Ask::Capture, Ask::Refund, Ask::Void] {
        let mut same = answers.iter().filter(|(asked, _)| *asked == ask).map(|(_, text)| text);
        if let Some(first) = same.next() {
            assert!(same.all(|text| text == first), "{ask:?} was answered in two ways: {answers:?}");
        }
    }
    let status = till.status_of(paying.payment_id).await;
    if asked(Ask::Void) {
        let over = [None, Some("voided"), Some("refunded"), Some("failed")];
        assert!(over.contains(&status.as_deref()), "{status:?} after a void");
    } else {
        assert!(!matches!(status.as_deref(), None | Some("pending" | "requires_action" | "voided")), "{status:?}");
    }
    till.assert_sound().await;
}

async fn finish(till: &Till, half_way: HalfWay) -> String {
    match till.harness.finish_half_way(half_way).await {
        Delivered::Answered(text) => text,
        other => panic!("not answered: {other:?}"),
    }
}
