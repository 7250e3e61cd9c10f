//! The domain's command.

use contract::{
    command::Outcome,
    feed::{Notice, NotifyUser, UserNotified},
};
use sqlx::PgConnection;
use worker_runtime::{Context, Handled, Handler};

/// Carries out the domain's command.
#[derive(Debug, Clone, Copy)]
pub struct Feed;

impl Handler<NotifyUser> for Feed {
    async fn handle(&self, tx: &mut PgConnection, command: NotifyUser, context: &mut Context) -> Handled<UserNotified> {
        sqlx::query(
            "INSERT INTO notice (user_id, order_id, kind, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(command.user_id.uuid())
        .bind(command.order_id.uuid())
        .bind(kind(command.notice))
        .bind(context.now)
        .execute(tx)
        .await?;
        Ok(Outcome::done(UserNotified {}))
    }
}

/// The word in the column.
const fn kind(notice: Notice) -> &'static str {
    match notice {
        Notice::OrderConfirmed => "order_confirmed",
    }
}
