//! A notice in a person's feed, as the database keeps it. A person is told the same thing once.

use chrono::{DateTime, Utc};
use contract::{OrderId, UserId};
use sqlx::PgConnection;

/// The word for a notice that greets a new person.
pub(crate) const WELCOME: &str = "welcome";
/// The word for a notice that an order is firm.
pub(crate) const ORDER_CONFIRMED: &str = "order_confirmed";

/// The word for a notice that a payment was taken.
pub(crate) const PAYMENT_TAKEN: &str = "payment_taken";

/// A notice that is to be put into a person's feed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewNotice {
    pub(crate) user_id: UserId,
    pub(crate) kind: &'static str,
    pub(crate) order_id: Option<OrderId>,
}

/// Puts notices into people's feeds, but for those that are there. They are written in one order by all who write.
pub(crate) async fn put(tx: &mut PgConnection, notices: &[NewNotice], now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO notice (user_id, order_id, kind, created_at)
         SELECT user_id, order_id, kind, $4 FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS n (user_id, order_id, kind)
         ORDER BY user_id, order_id, kind ON CONFLICT DO NOTHING",
    )
    .bind(notices.iter().map(|notice| notice.user_id.uuid()).collect::<Vec<_>>())
    .bind(notices.iter().map(|notice| notice.order_id.map(OrderId::uuid)).collect::<Vec<_>>())
    .bind(notices.iter().map(|notice| notice.kind).collect::<Vec<_>>())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}
