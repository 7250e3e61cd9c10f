//! `GET /.well-known/jwks.json`.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use kit::http::{ApiError, Json};

use crate::door::Door;

/// Others may keep the keys for as long as we do.
const CACHE: &str = "public, max-age=300";

/// The user service's public keys.
pub(crate) async fn published(State(door): State<Door>) -> Result<Response, ApiError> {
    let set = door.keys.published().await?;
    Ok(([(header::CACHE_CONTROL, CACHE)], Json(set)).into_response())
}
