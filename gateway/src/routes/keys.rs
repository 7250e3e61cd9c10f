//! `GET /.well-known/jwks.json`: the keys by which other services can verify access tokens.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
    routing::on,
};
use contract::Route;
use kit::http::{ApiError, Json};

use crate::{
    access::Access,
    app::App,
    endpoint::{Endpoint, Limit, NO_BODY_BYTES_MAX, Verb},
    upstream::Part,
};

pub(crate) const PUBLISHED: Endpoint = Endpoint {
    verb: Verb::Get,
    path: "/.well-known/jwks.json",
    access: Access::Public,
    limit: Limit::Light,
    body_bytes_max: NO_BODY_BYTES_MAX,
    part: Part::Domain(Route::User),
    about: "the keys that access tokens are verified with",
    handler: |methods| on(methods, published),
};

/// Others may keep the keys for as long as we do.
const CACHE: &str = "public, max-age=300";

async fn published(State(app): State<App>) -> Result<Response, ApiError> {
    let set = app.keys.published().await?;
    Ok(([(header::CACHE_CONTROL, CACHE)], Json(set)).into_response())
}
