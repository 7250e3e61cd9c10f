//! `order.end_payment`: the payments took nothing, and others may begin.

use contract::{
    command::Outcome,
    order::{EndPayment, PaymentEnded},
};
use sqlx::PgConnection;
use worker_runtime::{Member, SetHandled, SetHandler};

use super::{Orders, lock};

impl SetHandler<EndPayment> for Orders {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<EndPayment>]) -> SetHandled<PaymentEnded> {
        lock(tx, set.iter().map(|member| member.command.order_id)).await?;
        sqlx::query("DELETE FROM order_payment WHERE payment_id = ANY($1) AND recorded_at IS NULL")
            .bind(set.iter().map(|member| member.command.payment_id.uuid()).collect::<Vec<_>>())
            .execute(tx)
            .await?;
        Ok(set.iter().map(|_| Outcome::done(PaymentEnded {})).collect())
    }
}
