//! The notices of sagas to the people that they work for.

use contract::{
    command::Outcome,
    feed::{Notice, NotifyUser, UserNotified},
};
use sqlx::PgConnection;
use worker_runtime::{Member, SetHandled, SetHandler};

use super::Feed;
use crate::notice::{self, NewNotice, ORDER_CONFIRMED, PAYMENT_TAKEN};

impl SetHandler<NotifyUser> for Feed {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<NotifyUser>]) -> SetHandled<UserNotified> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        let notice = |Member { command, .. }: &Member<NotifyUser>| {
            let kind = match command.notice {
                Notice::OrderConfirmed => ORDER_CONFIRMED,
                Notice::PaymentTaken => PAYMENT_TAKEN,
            };
            NewNotice { user_id: command.user_id, kind, order_id: Some(command.order_id) }
        };
        notice::put(tx, &set.iter().map(notice).collect::<Vec<_>>(), now).await?;
        Ok(set.iter().map(|_| Outcome::done(UserNotified {})).collect())
    }
}
