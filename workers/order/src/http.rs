//! The domain's reads, for the gateway.

use axum::{Router, extract::State, routing::get};
use contract::{
    OrderId, UserId,
    limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX},
    order::OrderView,
};
use kit::{
    http::{ApiError, Json, Path, Query},
    settings::error_chain,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::view::{self, ReadError};

/// The routes, to be served under `/internal/order`.
pub(crate) fn router(pool: PgPool) -> Router {
    Router::new().route("/orders", get(list)).route("/orders/{order_id}", get(read)).with_state(pool)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    user_id: UserId,
    page_size: Option<u32>,
    page_token: Option<String>,
}

/// A page. A null `next_page_token` is the only sign of the end (AIP-158).
#[derive(Serialize)]
struct OrderPage {
    items: Vec<OrderView>,
    next_page_token: Option<String>,
}

async fn read(State(pool): State<PgPool>, Path(order_id): Path<OrderId>) -> Result<Json<OrderView>, ApiError> {
    let found = view::find(&pool, order_id).await?;
    found.map(Json).ok_or_else(|| ApiError::not_found("order_unknown", format!("there is no order {order_id}")))
}

async fn list(State(pool): State<PgPool>, Query(query): Query<ListQuery>) -> Result<Json<OrderPage>, ApiError> {
    let limit = query.page_size.filter(|size| *size > 0).unwrap_or(PAGE_SIZE_DEFAULT).min(PAGE_SIZE_MAX);
    let before = query.page_token.as_deref().map(str::parse::<OrderId>).transpose();
    let before = before.map_err(|_| ApiError::bad_request("page_token_invalid", "this page token is not ours"))?;
    // One more than asked for tells whether there is a next page.
    let mut items = view::of_user(&pool, query.user_id, before, limit + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_page_token = items.last().filter(|_| more).map(|last| last.order_id.to_string());
    Ok(Json(OrderPage { items, next_page_token }))
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        tracing::error!(error = error_chain(&error), "orders cannot be read");
        match error {
            ReadError::Database(_) => {
                Self::unavailable("database_unavailable", "the order domain's database does not answer", 1)
            }
            ReadError::BrokenRow { .. } => Self::internal(),
        }
    }
}
