//! A till: the payment domain with its sandbox, and what must always be true of its money.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, http::Request};
use contract::{
    CommandId, Money, OrderId, PaymentId, UserId,
    payment::{AuthorizePayment, CapturePayment, PaymentToken, VoidPayment, v2},
};
use sqlx::PgPool;
use tower::ServiceExt as _;
use worker_payment::{Provider, Sandbox, SandboxProvider, domain};
use worker_runtime::testkit::{Harness, ManualClock, Snapshot};

/// The secret of the webhooks.
pub(crate) const SECRET: &str = "whsec_of_the_tests";

/// How late the late webhooks are.
pub(crate) const LATE: Duration = Duration::from_secs(660);

/// The payment domain on a fresh database.
pub(crate) struct Till {
    pub(crate) harness: Harness,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) sandbox: Sandbox,
}

impl Till {
    pub(crate) async fn open() -> Self {
        Self::on(&private_servers::testing::database("payment").await).await
    }

    /// One of some workers on a database.
    pub(crate) async fn on(database: &str) -> Self {
        let clock = Arc::new(ManualClock::new(kit::clock::system().now()));
        let pool = PgPool::connect_lazy(database).unwrap();
        let provider = SandboxProvider::new(pool, clock.clone(), "http://the.door".to_owned());
        let webhook_url = "http://127.0.0.1:1/".to_owned();
        let sandbox = Sandbox { provider, webhook_url, late: LATE, secret: SECRET.to_owned().into() };
        let harness = Harness::open(domain(Provider::Sandbox(sandbox.clone())), database, clock.clone()).await;
        Self { harness, clock, sandbox }
    }

    /// Opens the sandbox's page of a charge, or acts on it; answers the status and the text.
    pub(crate) async fn page(&self, method: &str, path: &str) -> (u16, String) {
        let address = format!("/internal/payment{path}");
        let request = Request::builder().method(method).uri(address).body(Body::empty()).unwrap();
        let response = self.harness.reads().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The path of the page of a payment's charge, once the sandbox has one.
    pub(crate) async fn page_of(&self, payment_id: PaymentId) -> Option<String> {
        let sql = "SELECT reference FROM sandbox.charge WHERE payment_id = $1 ORDER BY reference DESC LIMIT 1";
        let reference: Option<String> =
            sqlx::query_scalar(sql).bind(payment_id.uuid()).fetch_optional(self.harness.pool()).await.unwrap();
        reference.map(|reference| format!("/sandbox/3ds/{reference}"))
    }

    /// The client's act on the page; nothing when there is no page yet.
    pub(crate) async fn act(&self, payment_id: PaymentId, act: &str) {
        if let Some(page) = self.page_of(payment_id).await {
            assert_eq!(self.page("POST", &format!("{page}/{act}")).await.0, 200);
        }
    }

    pub(crate) async fn status_of(&self, payment_id: PaymentId) -> Option<String> {
        let sql = "SELECT status FROM payment WHERE payment_id = $1";
        sqlx::query_scalar(sql).bind(payment_id.uuid()).fetch_optional(self.harness.pool()).await.unwrap()
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.harness.pool()).await.unwrap()
    }

    /// The rules that hold after every history (S23). Each query counts rows that must not exist.
    pub(crate) async fn assert_sound(&self) {
        for (wrong, sql) in [
            (
                "movements that do not sum to zero",
                "SELECT count(*) FROM (SELECT FROM ledger_line GROUP BY movement_id, currency HAVING sum(amount) <> 0) AS t",
            ),
            (
                "payments that the provider knows otherwise",
                "SELECT count(*) FROM payment LEFT JOIN sandbox.charge ON reference = provider_reference
                 WHERE provider_reference IS NOT NULL
                   AND NOT (payment.status IN ('voided', 'failed') AND charge.status IN ('voided', 'failed'))
                   AND (payment.status, payment.captured_amount, payment.refunded_amount)
                       IS DISTINCT FROM (charge.status, charge.captured_amount, charge.refunded_amount)",
            ),
            (
                "live charges at the provider without a payment",
                "SELECT count(*) FROM sandbox.charge WHERE status IN ('requires_action', 'authorized', 'captured')
                 AND NOT EXISTS (SELECT FROM payment WHERE provider_reference = reference)",
            ),
            (
                "orders with two open payments",
                "SELECT count(*) FROM (SELECT FROM payment WHERE status IN ('pending', 'requires_action', 'authorized')
                                       GROUP BY order_id HAVING count(*) > 1) AS t",
            ),
            (
                "deposits that differ from what was captured and not refunded",
                "SELECT count(*) FROM (SELECT 1 WHERE
                     (SELECT coalesce(-sum(amount), 0) FROM ledger_line WHERE account = 'client_deposits')
                     <> (SELECT coalesce(sum(captured_amount - refunded_amount), 0) FROM payment)) AS t",
            ),
            (
                "open authorizations that differ from what is authorized",
                "SELECT count(*) FROM (SELECT 1 WHERE
                     (SELECT coalesce(sum(amount), 0) FROM ledger_line WHERE account = 'authorizations_open')
                     <> (SELECT coalesce(sum(authorized_amount - captured_amount), 0) FROM payment
                         WHERE status = 'authorized')) AS t",
            ),
        ] {
            assert_eq!(self.count(sql).await, 0, "{wrong}");
        }
    }
}

/// The rows that a voided authorization leaves as they were.
pub(crate) fn snapshot() -> Snapshot {
    Snapshot::new([
        "SELECT order_id FROM payment WHERE status IN ('pending', 'requires_action', 'authorized', 'captured')",
        "SELECT reference FROM sandbox.charge WHERE status IN ('requires_action', 'authorized', 'captured')",
        "SELECT account, sum(amount) FROM ledger_line GROUP BY account HAVING sum(amount) <> 0",
    ])
}

pub(crate) fn eur(amount: &str) -> Money {
    Money::from_parts(amount.parse().unwrap(), "EUR").unwrap()
}

pub(crate) fn authorize(order_id: OrderId, token: &str) -> AuthorizePayment {
    AuthorizePayment { order_id, amount: eur("100.00"), token: PaymentToken::new(token).unwrap() }
}

pub(crate) fn capture(order_id: OrderId) -> CapturePayment {
    CapturePayment { order_id, amount: eur("100.00") }
}

pub(crate) fn void(order_id: OrderId) -> VoidPayment {
    VoidPayment { order_id }
}

/// A payment by the second version of the commands.
#[derive(Debug, Clone)]
pub(crate) struct Paying {
    pub(crate) payment_id: PaymentId,
    pub(crate) order_id: OrderId,
    pub(crate) user_id: UserId,
    pub(crate) authorizing: CommandId,
}

impl Paying {
    pub(crate) fn new() -> Self {
        Self::of(kit::ids::order_id())
    }

    pub(crate) fn of(order_id: OrderId) -> Self {
        let authorizing = worker_runtime::testkit::action_of_a_new_saga("authorize-payment");
        Self { payment_id: kit::ids::payment_id(), order_id, user_id: kit::ids::user_id(), authorizing }
    }

    /// Another step of the same saga.
    pub(crate) fn step(&self, name: &str) -> CommandId {
        CommandId { step: name.parse().unwrap(), ..self.authorizing.clone() }
    }

    pub(crate) fn authorize(&self, token: &str) -> v2::AuthorizePayment {
        let Self { payment_id, order_id, user_id, .. } = *self;
        let token = PaymentToken::new(token).unwrap();
        v2::AuthorizePayment { payment_id, order_id, user_id, amount: eur("100.00"), token }
    }

    pub(crate) const fn complete(&self) -> v2::CompleteAuthorization {
        v2::CompleteAuthorization { payment_id: self.payment_id }
    }

    pub(crate) fn capture(&self, amount: &str) -> v2::CapturePayment {
        v2::CapturePayment { payment_id: self.payment_id, amount: eur(amount), keep_rest: false }
    }

    pub(crate) fn capture_a_part(&self, amount: &str) -> v2::CapturePayment {
        v2::CapturePayment { keep_rest: true, ..self.capture(amount) }
    }

    pub(crate) fn refund(&self, amount: &str) -> v2::RefundPayment {
        v2::RefundPayment { payment_id: self.payment_id, amount: eur(amount) }
    }

    pub(crate) const fn void(&self) -> v2::VoidPayment {
        v2::VoidPayment { payment_id: self.payment_id }
    }
}
