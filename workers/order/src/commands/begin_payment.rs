//! `order.begin_payment`: the orders are kept for one payment each, which takes no more than the balance.

use contract::{
    Money, Refusal,
    command::Outcome,
    order::{
        BeginPayment, OrderStatus, PaymentBegun, REFUSED_BALANCE_EXCEEDED, REFUSED_NOT_PAYABLE,
        REFUSED_PAYMENT_UNDER_WAY,
    },
};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use worker_runtime::{HandlerError, Member, SetHandled, SetHandler};

use super::{Orders, lock};

impl SetHandler<BeginPayment> for Orders {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<BeginPayment>]) -> SetHandled<PaymentBegun> {
        lock(tx, set.iter().map(|member| member.command.order_id)).await?;
        let mut outcomes = Vec::with_capacity(set.len());
        for Member { command, context } in &*set {
            let refused = refusal(tx, command).await?;
            if refused.is_none() {
                sqlx::query(
                    "INSERT INTO order_payment (payment_id, order_id, amount, begun_at) VALUES ($1, $2, $3, $4)",
                )
                .bind(command.payment_id.uuid())
                .bind(command.order_id.uuid())
                .bind(command.amount.amount())
                .bind(context.now)
                .execute(&mut *tx)
                .await?;
            }
            outcomes.push(refused.map_or_else(|| Outcome::done(PaymentBegun {}), Outcome::Refused));
        }
        Ok(outcomes)
    }
}

#[derive(sqlx::FromRow)]
struct Standing {
    status: String,
    balance: Decimal,
    currency: String,
    under_way: bool,
}

/// The reason why an order, which is locked, cannot be paid for like this.
async fn refusal(tx: &mut PgConnection, command: &BeginPayment) -> Result<Option<Refusal>, HandlerError> {
    let BeginPayment { order_id, amount, .. } = command;
    let standing: Option<Standing> = sqlx::query_as(
        "SELECT status, total_amount - paid_amount AS balance, total_currency AS currency,
                EXISTS (SELECT FROM order_payment p WHERE p.order_id = o.order_id AND recorded_at IS NULL) AS under_way
         FROM orders o WHERE order_id = $1",
    )
    .bind(order_id.uuid())
    .fetch_optional(tx)
    .await?;
    let refused = |code: &str, message| Ok(Some(Refusal { code: code.to_owned(), message }));
    let Some(standing) = standing else {
        return refused(REFUSED_NOT_PAYABLE, format!("there is no order {order_id}"));
    };
    if OrderStatus::ALL.iter().any(|status| status.is_over() && status.as_str() == standing.status) {
        return refused(REFUSED_NOT_PAYABLE, format!("the order {order_id} was {}", standing.status));
    }
    if standing.under_way {
        return refused(REFUSED_PAYMENT_UNDER_WAY, format!("another payment for the order {order_id} is under way"));
    }
    let balance = Money::from_parts(standing.balance, &standing.currency)
        .map_err(|error| HandlerError::fault(format!("the balance of {order_id} is not money: {error}")))?;
    if balance.is_zero() || amount.is_zero() {
        return refused(REFUSED_NOT_PAYABLE, format!("nothing of the order {order_id} is to be paid"));
    }
    if balance.checked_sub(*amount).is_err() {
        return refused(REFUSED_BALANCE_EXCEEDED, format!("{amount} is more than the balance of {balance}"));
    }
    Ok(None)
}
