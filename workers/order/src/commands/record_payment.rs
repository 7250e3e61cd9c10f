//! `order.record_payment`: what the payments have taken is added to what is paid of their orders.

use contract::{
    Money,
    command::Outcome,
    order::{PaymentRecorded, RecordPayment},
};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use worker_runtime::{HandlerError, Member, SetHandled, SetHandler};

use super::{Orders, lock};

impl SetHandler<RecordPayment> for Orders {
    async fn handle_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Member<RecordPayment>],
    ) -> SetHandled<PaymentRecorded> {
        lock(tx, set.iter().map(|member| member.command.order_id)).await?;
        let mut outcomes = Vec::with_capacity(set.len());
        for Member { command, context } in &*set {
            let RecordPayment { order_id, payment_id, amount } = command;
            let recorded: Option<(Decimal, Decimal)> = sqlx::query_as(
                "WITH recorded AS (
                     UPDATE order_payment SET recorded_at = $1, amount = $2
                     WHERE payment_id = $3 AND order_id = $4 AND recorded_at IS NULL RETURNING order_id
                 )
                 UPDATE orders o SET paid_amount = paid_amount + $2, updated_at = $1 FROM recorded r
                 WHERE o.order_id = r.order_id AND o.total_currency = $5
                 RETURNING o.paid_amount, o.total_amount - o.paid_amount",
            )
            .bind(context.now)
            .bind(amount.amount())
            .bind(payment_id.uuid())
            .bind(order_id.uuid())
            .bind(amount.currency_code())
            .fetch_optional(&mut *tx)
            .await?;
            // The money is taken: it must not pass as a business refusal.
            let (paid, balance_due) = recorded.ok_or_else(|| {
                HandlerError::fault(format!("{payment_id} is not under way for the order {order_id}"))
            })?;
            let money = |amount_of| {
                Money::from_parts(amount_of, amount.currency_code())
                    .map_err(|error| HandlerError::fault(format!("what is paid of {order_id} is not money: {error}")))
            };
            outcomes.push(Outcome::done(PaymentRecorded { paid: money(paid)?, balance_due: money(balance_due)? }));
        }
        Ok(outcomes)
    }
}
