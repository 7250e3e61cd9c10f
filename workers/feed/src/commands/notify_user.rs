//! A saga's notice to the person that it works for.

use contract::{
    command::Outcome,
    feed::{Notice, NotifyUser, UserNotified},
};
use sqlx::PgConnection;
use worker_runtime::{Context, Handled, Handler};

use super::Feed;
use crate::notice::{self, ORDER_CONFIRMED};

impl Handler<NotifyUser> for Feed {
    async fn handle(&self, tx: &mut PgConnection, command: NotifyUser, context: &mut Context) -> Handled<UserNotified> {
        let kind = match command.notice {
            Notice::OrderConfirmed => ORDER_CONFIRMED,
        };
        notice::put(tx, command.user_id, kind, Some(command.order_id), context.now).await?;
        Ok(Outcome::done(UserNotified {}))
    }
}
