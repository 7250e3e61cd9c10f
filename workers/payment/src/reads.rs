//! The domain's reads over internal HTTP, for the gateway.

use axum::{Router, extract::State, routing::get};
use contract::{
    OrderId, PaymentId,
    payment::{NextAction, PaymentView},
};
use kit::http::{ApiError, Json, Path, Query};
use serde::Deserialize;
use sqlx::PgPool;
use worker_runtime::DomainError;

use crate::payments::{By, Payment, find, of_order};

/// The routes, to be served under `/internal/payment`.
pub(crate) fn router(pool: PgPool) -> Router {
    Router::new().route("/payments", get(list)).route("/payments/{payment_id}", get(read)).with_state(pool)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    order_id: OrderId,
}

async fn read(State(pool): State<PgPool>, Path(payment_id): Path<PaymentId>) -> Result<Json<PaymentView>, ApiError> {
    let mut connection = pool.acquire().await.map_err(DomainError::doing("reading a payment"))?;
    let found = find(&mut connection, By::Payment, &[payment_id.uuid()]).await?.remove(&payment_id.uuid());
    let unknown = || ApiError::not_found("payment_unknown", format!("there is no payment {payment_id}"));
    Ok(Json(found.map(view).ok_or_else(unknown)?))
}

/// The payments of an order, oldest first.
async fn list(State(pool): State<PgPool>, Query(query): Query<ListQuery>) -> Result<Json<Vec<PaymentView>>, ApiError> {
    let mut connection = pool.acquire().await.map_err(DomainError::doing("reading the payments of an order"))?;
    let payments = of_order(&mut connection, query.order_id).await?;
    Ok(Json(payments.into_iter().map(view).collect()))
}

fn view(payment: Payment) -> PaymentView {
    PaymentView {
        payment_id: payment.payment_id,
        order_id: payment.order_id,
        user_id: payment.user_id,
        status: payment.status,
        amount: payment.amount,
        refunded: Some(payment.refunded).filter(|refunded| !refunded.is_zero()),
        next_action: payment.action.map(|(url, expires_at)| NextAction::Redirect { url, expires_at }),
        failure_code: payment.failure_code,
    }
}
