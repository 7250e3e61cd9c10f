//! The ledger: every movement of a payment as lines that sum to zero, in the statement that makes it true.

use chrono::{DateTime, Utc};
use contract::Money;
use sqlx::{Postgres, postgres::PgArguments, query::Query};

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
    Refund { captured: Money },
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
            Self::Refund { captured } => vec![(CLIENT_DEPOSITS, PROVIDER_RECEIVABLE, captured)],
        }
    }
}

/// The statement that changes a payment and posts the movement of it: nothing is posted when nothing is changed. The
/// change returns its `payment_id`, and its parameters begin at `$6`.
macro_rules! posting {
    ($change:literal) => {
        concat!(
            "WITH changed AS (",
            $change,
            "), movement AS (
                 INSERT INTO ledger_movement (payment_id, kind, at) SELECT payment_id, $1, $2 FROM changed
                 RETURNING movement_id
             )
             INSERT INTO ledger_line (movement_id, account, amount, currency)
             SELECT movement_id, account, amount, currency
             FROM movement, unnest($3::text[], $4::numeric[], $5::text[]) AS line (account, amount, currency)"
        )
    };
}
pub(crate) use posting;

/// A statement made by [`posting!`], with the movement in it: one line on each of its accounts.
pub(crate) fn post(
    statement: &'static str,
    movement: Movement,
    now: DateTime<Utc>,
) -> Query<'static, Postgres, PgArguments> {
    let (mut accounts, mut amounts, mut currencies) = (Vec::new(), Vec::new(), Vec::new());
    for (debit, credit, money) in movement.pairs() {
        accounts.extend([debit, credit]);
        amounts.extend([money.amount(), -money.amount()]);
        currencies.extend([money.currency_code(), money.currency_code()]);
    }
    sqlx::query(statement).bind(movement.kind()).bind(now).bind(accounts).bind(amounts).bind(currencies)
}
