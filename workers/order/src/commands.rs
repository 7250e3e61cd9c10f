//! The domain's commands, a file each. Each is one statement for a whole set, which locks its orders in the order of
//! their ids.

mod begin_payment;
mod close_order;
mod confirm_order;
mod create_order;
mod end_payment;
mod lock_order;
mod record_payment;
mod reject_order;

use contract::{
    OrderId,
    order::{
        BeginPayment, CloseOrder, ConfirmOrder, CreateOrder, EndPayment, OrderRejection, PaymentEnded, RecordPayment,
        RejectOrder, v2,
    },
};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Domain, HandlerError};

/// Carries out the domain's commands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Orders;

impl Orders {
    /// Gives the domain its commands.
    pub(crate) fn register(self, domain: Domain) -> Domain {
        domain
            .action::<CreateOrder>(self)
            .action::<v2::CreateOrder>(self)
            .compensation::<RejectOrder>(self, |_| OrderRejection {})
            .action::<ConfirmOrder>(self)
            .action::<CloseOrder>(self)
            .action::<BeginPayment>(self)
            .compensation::<EndPayment>(self, |_| PaymentEnded {})
            .action::<RecordPayment>(self)
            .lock_order(self)
    }
}

/// Locks orders in the order of their ids.
async fn lock(tx: &mut PgConnection, orders: impl Iterator<Item = OrderId>) -> Result<(), HandlerError> {
    sqlx::query("SELECT FROM orders WHERE order_id = ANY($1) ORDER BY order_id FOR NO KEY UPDATE")
        .bind(orders.map(OrderId::uuid).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

/// Neither of an order's two ends may meet an order that is not pending: its one saga takes one of them, once. If it
/// happens it is a bug, and waits for a person; it must not pass as a business refusal.
fn only_if_pending(changed: &[Uuid], mut orders: impl Iterator<Item = OrderId>) -> Result<(), HandlerError> {
    match orders.find(|order_id| !changed.contains(&order_id.uuid())) {
        None => Ok(()),
        Some(order_id) => Err(HandlerError::fault(format!("the order {order_id} is not pending"))),
    }
}
