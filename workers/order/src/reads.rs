//! The domain's reads over internal HTTP, for the gateway.

mod orders;

use axum::{Router, extract::State, routing::get};
use contract::{OrderId, UserId, limits::PAGE_SIZE_MAX, order::OrderView};
use kit::http::{ApiError, Json, Path, Query};
use serde::Deserialize;
use sqlx::PgPool;

/// The routes, to be served under `/internal/order`.
pub(crate) fn router(pool: PgPool) -> Router {
    Router::new().route("/orders", get(list)).route("/orders/{order_id}", get(read)).with_state(pool)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    user_id: UserId,
    /// Only orders below this one.
    before: Option<OrderId>,
    limit: u32,
}

async fn read(State(pool): State<PgPool>, Path(order_id): Path<OrderId>) -> Result<Json<OrderView>, ApiError> {
    let found = orders::find(&pool, order_id).await?;
    found.map(Json).ok_or_else(|| ApiError::not_found("order_unknown", format!("there is no order {order_id}")))
}

/// A person's orders, newest first. The gateway makes pages of them, and of what it hears from elsewhere.
async fn list(State(pool): State<PgPool>, Query(query): Query<ListQuery>) -> Result<Json<Vec<OrderView>>, ApiError> {
    // One more than a page tells whether there is another.
    let limit = query.limit.min(PAGE_SIZE_MAX + 1);
    Ok(Json(orders::of_user(&pool, query.user_id, query.before, limit).await?))
}
