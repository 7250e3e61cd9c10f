//! A notice in a person's feed, as the database keeps it. A person is told the same thing once.

use chrono::{DateTime, Utc};
use contract::{OrderId, UserId};
use sqlx::PgConnection;

/// The word for a notice that greets a new person.
pub(crate) const WELCOME: &str = "welcome";
/// The word for a notice that an order is firm.
pub(crate) const ORDER_CONFIRMED: &str = "order_confirmed";

/// Puts a notice into a person's feed, unless it is there.
pub(crate) async fn put(
    tx: &mut PgConnection,
    user_id: UserId,
    kind: &'static str,
    order_id: Option<OrderId>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO notice (user_id, order_id, kind, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(user_id.uuid())
    .bind(order_id.map(|order_id| order_id.uuid()))
    .bind(kind)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}
