//! 3-D Secure: the sandbox's page and its webhooks, and what the domain believes (S24).

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use chrono::TimeDelta;
use contract::{
    Outcome,
    payment::{PaymentWebhook, REFUSED_AUTHENTICATION, WEBHOOK_SIGNATURE_HEADER, v2::PaymentAuthorization},
};
use kit::{clock::Clock as _, signed_webhook::verify};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use worker_payment::Sandbox;
use worker_runtime::testkit::{ManualClock, compensation_of};

use crate::money::{LATE, Paying, SECRET, Till};

/// Far longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A payment that waits for its client.
async fn waiting(till: &Till, token: &str) -> (Paying, String) {
    let paying = Paying::new();
    let asked = till.harness.deliver(&paying.authorizing, &paying.authorize(token)).await;
    let Outcome::Done { reply: PaymentAuthorization::RequiresAction { redirect_url, expires_at } } = asked else {
        panic!("no act is required: {asked:?}")
    };
    assert!(expires_at > till.clock.now());
    (paying, redirect_url.strip_prefix("http://the.door").unwrap().to_owned())
}

#[tokio::test]
async fn an_authorization_waits_for_the_client_and_is_completed_by_asking_the_provider() {
    let till = Till::open().await;
    let (paying, page) = waiting(&till, "tok_3ds").await;
    let completing = paying.step("complete-authorization");
    let early = till.harness.deliver(&completing, &paying.complete()).await;
    assert!(matches!(early, Outcome::Faulted(_)), "{early:?}");

    let (status, text) = till.page("GET", &page).await;
    assert_eq!(status, 200);
    assert!(text.contains("100.00") && text.contains("EUR") && text.contains("/approve"), "{text}");
    let (status, text) = till.page("POST", &format!("{page}/close")).await;
    assert!(status == 200 && text.contains("Not decided yet"), "{text}");
    let (status, text) = till.page("POST", &format!("{page}/approve")).await;
    assert!(status == 200 && text.contains("Approved"), "{text}");
    // Pressed twice, or the other one too late.
    assert!(till.page("POST", &format!("{page}/decline")).await.1.contains("Approved"));
    assert_eq!(till.page("GET", "/sandbox/3ds/sbx_none").await.0, 404);
    assert_eq!(till.page("POST", &format!("{page}/steal")).await.0, 404);

    let completed = till.harness.deliver(&completing, &paying.complete()).await;
    assert!(matches!(completed, Outcome::Done { .. }), "{completed:?}");
    assert_eq!(till.harness.deliver(&completing, &paying.complete()).await, completed);
    let taken = till.harness.deliver(&paying.step("capture-payment"), &paying.capture("100.00")).await;
    assert!(matches!(taken, Outcome::Done { .. }), "{taken:?}");
    till.assert_sound().await;
}

#[tokio::test]
async fn a_client_who_declines_or_never_acts_is_refused_and_the_refusal_sticks() {
    let till = Till::open().await;
    let (declined, page) = waiting(&till, "tok_3ds").await;
    till.page("POST", &format!("{page}/decline")).await;
    let (absent, _) = waiting(&till, "tok_3ds").await;
    till.clock.advance(TimeDelta::minutes(11));
    for paying in [&declined, &absent] {
        let completing = paying.step("complete-authorization");
        for _ in 0..2 {
            let Outcome::Refused(no) = till.harness.deliver(&completing, &paying.complete()).await else {
                panic!("completed without the client")
            };
            assert_eq!(no.code, REFUSED_AUTHENTICATION);
        }
        assert_eq!(till.status_of(paying.payment_id).await.as_deref(), Some("failed"));
    }
}

#[tokio::test]
async fn an_approval_after_the_void_or_unheard_of_before_it_reserves_nothing() {
    let till = Till::open().await;
    let (late, page) = waiting(&till, "tok_3ds_late").await;
    let undone = till.harness.deliver(&compensation_of(&late.authorizing), &late.void()).await;
    assert!(matches!(undone, Outcome::Done { .. }), "{undone:?}");
    assert!(till.page("POST", &format!("{page}/approve")).await.1.contains("over"));

    let (unheard, page) = waiting(&till, "tok_3ds_never").await;
    till.page("POST", &format!("{page}/approve")).await;
    let undone = till.harness.deliver(&compensation_of(&unheard.authorizing), &unheard.void()).await;
    assert!(matches!(undone, Outcome::Done { .. }), "{undone:?}");
    for paying in [late, unheard] {
        assert_eq!(till.status_of(paying.payment_id).await.as_deref(), Some("voided"));
        let completed = till.harness.deliver(&paying.step("complete-authorization"), &paying.complete()).await;
        assert!(matches!(completed, Outcome::Refused(_)), "{completed:?}");
    }
    assert_eq!(till.count("SELECT count(*) FROM sandbox.charge WHERE status <> 'voided'").await, 0);
    till.assert_sound().await;
}

/// A webhook as the merchant gets it, and whether its signature is the provider's.
type Received = (PaymentWebhook, bool);

/// A merchant's door: turns away what is not signed, and the first delivery of everything.
struct Merchant {
    received: mpsc::UnboundedReceiver<Received>,
    sandbox: Sandbox,
    token: CancellationToken,
}

impl Merchant {
    async fn of(till: &Till) -> Self {
        let (send, received) = mpsc::unbounded_channel();
        let clock = Arc::clone(&till.clock);
        let router = Router::new().route("/hook", post(take)).with_state((send, clock));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let webhook_url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let sandbox = Sandbox { webhook_url, ..till.sandbox.clone() };
        let merchant = Self { received, sandbox, token: CancellationToken::new() };
        merchant.run();
        merchant
    }

    /// Has the sandbox's webhooks sent by one more sender, which looks at once.
    fn run(&self) {
        tokio::spawn(self.sandbox.clone().deliver_webhooks(self.token.clone()));
    }

    async fn next(&mut self) -> Received {
        tokio::time::timeout(PATIENCE, self.received.recv()).await.expect("a webhook comes").unwrap()
    }
}

impl Drop for Merchant {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

async fn take(
    State((send, clock)): State<(mpsc::UnboundedSender<Received>, Arc<ManualClock>)>,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let signature = headers[WEBHOOK_SIGNATURE_HEADER].to_str().unwrap();
    let secrets = [SECRET.to_owned().into()];
    let genuine = verify(&secrets, clock.now(), signature, body.as_bytes()).is_ok();
    send.send((serde_json::from_str(&body).unwrap(), genuine)).unwrap();
    if genuine { StatusCode::NO_CONTENT } else { StatusCode::BAD_REQUEST }
}

#[tokio::test]
async fn the_clients_act_is_told_by_a_signed_webhook_as_its_token_wants_it() {
    let till = Till::open().await;
    let mut merchant = Merchant::of(&till).await;
    let approve = async |token: &str| {
        let (paying, page) = waiting(&till, token).await;
        till.page("POST", &format!("{page}/approve")).await;
        paying
    };
    let about = |paying: &Paying, (webhook, genuine): Received| {
        let (saga, action) = webhook.signal().expect("it is about a payment");
        assert_eq!((saga, action.payment_id), (paying.authorizing.saga, paying.payment_id));
        (action.event_id, genuine)
    };

    let once = approve("tok_3ds").await;
    assert!(about(&once, merchant.next().await).1);

    let twice = approve("tok_3ds_twice").await;
    let (first, second) = (about(&twice, merchant.next().await), about(&twice, merchant.next().await));
    assert_eq!(first, second, "the same event twice");
    assert!(first.1);

    // The forgery comes before the client has acted, claims that he has, and is tried once.
    let (forged, page) = waiting(&till, "tok_3ds_forged").await;
    let (claim, genuine) = merchant.next().await;
    assert!(!genuine && claim.kind == "payment_intent.amount_capturable_updated");
    let asked = till.harness.deliver(&forged.step("complete-authorization"), &forged.complete()).await;
    assert!(matches!(asked, Outcome::Faulted(_)), "a forged webhook was believed: {asked:?}");
    till.page("POST", &format!("{page}/approve")).await;
    assert!(about(&forged, merchant.next().await).1);

    // One comes late, one never; the next one is the first to be heard of.
    let late = approve("tok_3ds_late").await;
    approve("tok_3ds_never").await;
    let (declined, page) = waiting(&till, "tok_3ds").await;
    till.page("POST", &format!("{page}/decline")).await;
    let told = merchant.next().await;
    assert_eq!(told.0.kind, "payment_intent.payment_failed");
    assert!(about(&declined, told).1);
    till.clock.advance(TimeDelta::from_std(LATE).unwrap());
    merchant.run();
    // One whose answer is on its way may be sent again meanwhile.
    let told = loop {
        let told = merchant.next().await;
        if told.0.signal().is_some_and(|(saga, _)| saga == late.authorizing.saga) {
            break told;
        }
    };
    assert!(about(&late, told).1);
}

#[tokio::test]
async fn a_webhook_that_is_not_taken_is_tried_again_a_bounded_number_of_times() {
    let till = Till::open().await;
    let (_, page) = waiting(&till, "tok_3ds").await;
    till.page("POST", &format!("{page}/approve")).await;
    // No program listens at the address that the sandbox knows.
    let token = CancellationToken::new();
    for tries_left in (0..8).rev() {
        let sender = tokio::spawn(till.sandbox.clone().deliver_webhooks(token.clone()));
        let tried = async {
            loop {
                let left: Option<i32> = sqlx::query_scalar("SELECT tries_left FROM sandbox.webhook")
                    .fetch_optional(till.harness.pool())
                    .await
                    .unwrap();
                if left.is_none_or(|left| left <= tries_left) {
                    return left;
                }
                tokio::task::yield_now().await;
            }
        };
        let left = tokio::time::timeout(PATIENCE, tried).await.expect("it is tried");
        assert!(left.is_none_or(|left| left == tries_left));
        sender.abort();
        till.clock.advance(TimeDelta::minutes(5));
    }
    // Also when the sender died during the last try.
    tokio::spawn(till.sandbox.clone().deliver_webhooks(token.clone()));
    let gone = async {
        while till.count("SELECT count(*) FROM sandbox.webhook").await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it is given up");
    token.cancel();
}
