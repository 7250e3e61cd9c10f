//! The newest notices of one person.

use axum::{Router, extract::State, routing::get};
use chrono::{DateTime, Utc};
use contract::{OrderId, UserId, limits::PAGE_SIZE_MAX};
use kit::{
    http::{ApiError, Json, Query},
    settings::error_chain,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

/// The routes, to be served under `/internal/feed`.
pub(crate) fn router(pool: PgPool) -> Router {
    Router::new().route("/notices", get(list)).with_state(pool)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoticeQuery {
    user_id: UserId,
}

/// The newest notices.
#[derive(Serialize)]
struct Notices {
    items: Vec<NoticeView>,
}

#[derive(Serialize)]
struct NoticeView {
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    kind: String,
    created_at: DateTime<Utc>,
}

async fn list(State(pool): State<PgPool>, Query(query): Query<NoticeQuery>) -> Result<Json<Notices>, ApiError> {
    let rows: Vec<(Option<Uuid>, String, DateTime<Utc>)> = sqlx::query_as(
        "SELECT order_id, kind, created_at FROM notice WHERE user_id = $1 ORDER BY notice_id DESC LIMIT $2",
    )
    .bind(query.user_id.uuid())
    .bind(i64::from(PAGE_SIZE_MAX))
    .fetch_all(&pool)
    .await
    .map_err(|error| {
        tracing::error!(error = error_chain(&error), "notices cannot be read");
        ApiError::unavailable("database_unavailable", "the feed domain's database does not answer", 1)
    })?;
    let items = rows
        .into_iter()
        .map(|(order_id, kind, created_at)| NoticeView { order_id: order_id.map(OrderId::from_uuid), kind, created_at })
        .collect();
    Ok(Json(Notices { items }))
}
