//! The domain's reads over internal HTTP, for the gateway.

mod orders;

use axum::{Router, extract::State, routing::get};
use contract::{
    OrderId, UserId,
    order::OrderView,
    page::{Page, PageToken, page_size},
};
use kit::http::{ApiError, Json, Path, Query, page_token};
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
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

async fn read(State(pool): State<PgPool>, Path(order_id): Path<OrderId>) -> Result<Json<OrderView>, ApiError> {
    let found = orders::find(&pool, order_id).await?;
    found.map(Json).ok_or_else(|| ApiError::not_found("order_unknown", format!("there is no order {order_id}")))
}

async fn list(State(pool): State<PgPool>, Query(query): Query<ListQuery>) -> Result<Json<Page<OrderView>>, ApiError> {
    let listing = format!("orders of {}", query.user_id);
    let before = query.page_token.map(|token| page_token::read::<OrderId>(&token, &listing)).transpose()?;
    let size = page_size(query.page_size);
    let found = orders::of_user(&pool, query.user_id, before, size + 1).await?;
    Ok(Json(Page::cut(found, size as usize, |last| page_token::write(&listing, &last.order_id))))
}
