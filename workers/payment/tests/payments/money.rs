//! A till: the payment domain with its sandbox, and what must always be true of its money.

use std::sync::Arc;

use contract::{
    Money, OrderId,
    payment::{AuthorizePayment, CapturePayment, PaymentToken, VoidPayment},
};
use sqlx::PgPool;
use worker_payment::SandboxProvider;
use worker_runtime::testkit::{Harness, ManualClock, Snapshot};

/// The payment domain on a fresh database.
pub(crate) struct Till {
    pub(crate) harness: Harness,
    pub(crate) clock: Arc<ManualClock>,
}

impl Till {
    pub(crate) async fn open() -> Self {
        Self::on(&private_servers::testing::database("payment").await).await
    }

    /// One of some workers on a database.
    pub(crate) async fn on(database: &str) -> Self {
        let clock = Arc::new(ManualClock::new(kit::clock::system().now()));
        let sandbox = SandboxProvider::new(PgPool::connect_lazy(database).unwrap(), clock.clone());
        let harness = Harness::open(worker_payment::domain(Arc::new(sandbox)), database, clock.clone()).await;
        Self { harness, clock }
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
                 WHERE (payment.status, payment.captured_amount, payment.refunded_amount)
                       IS DISTINCT FROM (charge.status, charge.captured_amount, charge.refunded_amount)",
            ),
            (
                "live charges at the provider without a payment",
                "SELECT count(*) FROM sandbox.charge WHERE status IN ('authorized', 'captured')
                 AND reference NOT IN (SELECT provider_reference FROM payment)",
            ),
            (
                "orders with two live payments",
                "SELECT count(*) FROM (SELECT FROM payment WHERE status IN ('authorized', 'captured')
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
                     <> (SELECT coalesce(sum(authorized_amount), 0) FROM payment WHERE status = 'authorized')) AS t",
            ),
        ] {
            assert_eq!(self.count(sql).await, 0, "{wrong}");
        }
    }
}

/// The rows that a voided authorization leaves as they were.
pub(crate) fn snapshot() -> Snapshot {
    Snapshot::new([
        "SELECT order_id FROM payment WHERE status IN ('authorized', 'captured')",
        "SELECT reference FROM sandbox.charge WHERE status IN ('authorized', 'captured')",
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
