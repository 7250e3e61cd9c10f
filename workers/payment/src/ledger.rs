//! The ledger: every movement of a payment as lines that sum to zero, in the statement that makes it true.

use chrono::{DateTime, Utc};
use contract::{Money, PaymentId};
use rust_decimal::Decimal;
use sqlx::{Postgres, postgres::PgArguments, query::Query};
use uuid::Uuid;

/// Memorandum: the money that is reserved at the provider.
const AUTHORIZATIONS_OPEN: &str = "authorizations_open";
/// Memorandum: the counterpart of the reserved money.
const AUTHORIZATIONS_GRANTED: &str = "authorizations_granted";
/// The money that the provider owes us.
const PROVIDER_RECEIVABLE: &str = "provider_receivable";
/// The travel that we owe our clients, in money.
const CLIENT_DEPOSITS: &str = "client_deposits";

/// One movement of a payment's money.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Movement {
    Authorize { amount: Money },
    Void { authorized: Money },
    Capture { authorized: Money, captured: Money },
    Refund { refunded: Money },
}

impl Movement {
    const fn kind(self) -> &'static str {
        match self {
            Self::Authorize { .. } => "authorize",
            Self::Void { .. } => "void",
            Self::Capture { .. } => "capture",
            Self::Refund { .. } => "refund",
        }
    }

    /// Pairs of accounts: the first is debited (plus), the second credited (minus).
    fn pairs(self) -> Vec<(&'static str, &'static str, Money)> {
        match self {
            Self::Authorize { amount } => vec![(AUTHORIZATIONS_OPEN, AUTHORIZATIONS_GRANTED, amount)],
            Self::Void { authorized } => vec![(AUTHORIZATIONS_GRANTED, AUTHORIZATIONS_OPEN, authorized)],
            Self::Capture { authorized, captured } => vec![
                (AUTHORIZATIONS_GRANTED, AUTHORIZATIONS_OPEN, authorized),
                (PROVIDER_RECEIVABLE, CLIENT_DEPOSITS, captured),
            ],
            Self::Refund { refunded } => vec![(CLIENT_DEPOSITS, PROVIDER_RECEIVABLE, refunded)],
        }
    }
}

/// The statement that changes payments and posts their movements: nothing is posted for a payment that is not changed. The
/// change returns each `payment_id`; `$1` is the time, `$2` are the payments, and its own parameters begin at `$10`. The
/// rows of `locked` are locked in the order of their ids: a change of rows that exist has to look at it.
macro_rules! posting {
    ($change:literal) => {
        concat!(
            "WITH locked AS MATERIALIZED (
                 SELECT payment_id FROM payment WHERE payment_id = ANY($2) ORDER BY payment_id FOR NO KEY UPDATE
             ), changed AS (",
            $change,
            "), movement AS (
                 INSERT INTO ledger_movement (payment_id, kind, key, at)
                 SELECT payment_id, m.kind, m.key, $1
                 FROM changed JOIN unnest($2::uuid[], $3::text[], $4::text[]) AS m (payment_id, kind, key)
                      USING (payment_id)
                 RETURNING movement_id, payment_id, kind
             )
             INSERT INTO ledger_line (movement_id, account, amount, currency)
             SELECT movement_id, account, amount, currency
             FROM movement JOIN unnest($5::uuid[], $6::text[], $7::text[], $8::numeric[], $9::text[])
                 AS line (payment_id, kind, account, amount, currency) USING (payment_id, kind)"
        )
    };
}
pub(crate) use posting;

/// Movements of payments, as the lines on their accounts; at most one of a kind for a payment.
#[derive(Debug, Default)]
pub(crate) struct Posting {
    payments: Vec<Uuid>,
    kinds: Vec<&'static str>,
    keys: Vec<String>,
    line_payments: Vec<Uuid>,
    line_kinds: Vec<&'static str>,
    accounts: Vec<&'static str>,
    amounts: Vec<Decimal>,
    currencies: Vec<&'static str>,
}

impl Posting {
    /// With one more movement. Nothing happens twice to a payment under one key.
    pub(crate) fn add(&mut self, payment_id: PaymentId, movement: Movement, key: &str) {
        self.payments.push(payment_id.uuid());
        self.kinds.push(movement.kind());
        self.keys.push(key.to_owned());
        for (debit, credit, money) in movement.pairs() {
            self.line_payments.extend([payment_id.uuid(); 2]);
            self.line_kinds.extend([movement.kind(); 2]);
            self.accounts.extend([debit, credit]);
            self.amounts.extend([money.amount(), -money.amount()]);
            self.currencies.extend([money.currency_code(); 2]);
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.payments.is_empty()
    }

    /// The number of lines that are written when every payment is changed.
    pub(crate) const fn lines(&self) -> u64 {
        self.accounts.len() as u64
    }

    /// A statement made by [`posting!`], with the movements in it.
    pub(crate) fn query(self, statement: &'static str, now: DateTime<Utc>) -> Query<'static, Postgres, PgArguments> {
        sqlx::query(statement)
            .bind(now)
            .bind(self.payments)
            .bind(self.kinds)
            .bind(self.keys)
            .bind(self.line_payments)
            .bind(self.line_kinds)
            .bind(self.accounts)
            .bind(self.amounts)
            .bind(self.currencies)
    }
}
