//! The table of routes: everything that the door answers, and to whom. The router is built from it and the README's
//! table is printed from it, so that neither can forget a row.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use kit::http::Calls;

use crate::{
    auth::{self, Auth},
    door::Door,
    routes,
};

/// The largest order, in bytes: what a saga's input may have.
const ORDER_BYTES_MAX: usize = contract::limits::PAYLOAD_BYTES_MAX;
/// The largest registration or login, in bytes: an address, a password and a name, several times over.
const LOGIN_BYTES_MAX: usize = 8 * 1024;
/// The largest operator's request, in bytes: a skipped step's reply and a reason.
const OPERATION_BYTES_MAX: usize = kit::http::BODY_BYTES_MAX;
/// How long a body may take to arrive: 64 KiB over the slowest network of a phone, and time left for an answer.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);
/// Reads have no body.
const NO_BODY_BYTES_MAX: usize = 0;

/// What a call costs: the classes that rate limits will be set for. So far they only tell
/// metrics apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Cheap and unchanging.
    Light,
    /// A query of one domain.
    Read,
    /// A password is hashed, or guessed.
    Login,
    /// Something comes to be.
    Write,
    /// A connection that stays open.
    Stream,
    /// An operator's.
    Operate,
}

impl Limit {
    /// The word in metrics.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Read => "read",
            Self::Login => "login",
            Self::Write => "write",
            Self::Stream => "stream",
            Self::Operate => "operate",
        }
    }
}

/// One row.
pub(crate) struct Route {
    /// As in documentation.
    pub(crate) methods: &'static str,
    /// The same for the router.
    filter: MethodFilter,
    /// In axum's notation.
    pub(crate) path: &'static str,
    /// Who may.
    pub(crate) auth: Auth,
    /// What it costs.
    pub(crate) limit: Limit,
    /// The largest body, in bytes.
    body_bytes_max: usize,
    /// The part behind the door that answers.
    pub(crate) upstream: &'static str,
    /// One sentence.
    pub(crate) about: &'static str,
    /// What serves it.
    serve: fn(MethodFilter) -> MethodRouter<Door>,
}

const ANY: MethodFilter =
    MethodFilter::GET.or(MethodFilter::POST).or(MethodFilter::PUT).or(MethodFilter::PATCH).or(MethodFilter::DELETE);

/// All of them. `/health`, `/ready` and `/metrics` (for whoever shows the internal token) come from the kit.
pub(crate) const ROUTES: [Route; 12] = [
    Route {
        methods: "POST",
        filter: MethodFilter::POST,
        path: "/v1/auth/register",
        auth: Auth::Public,
        limit: Limit::Login,
        body_bytes_max: LOGIN_BYTES_MAX,
        upstream: "user",
        about: "makes an account",
        serve: |methods| on(methods, routes::people::register),
    },
    Route {
        methods: "POST",
        filter: MethodFilter::POST,
        path: "/v1/auth/login",
        auth: Auth::Public,
        limit: Limit::Login,
        body_bytes_max: LOGIN_BYTES_MAX,
        upstream: "user",
        about: "trades a password for tokens",
        serve: |methods| on(methods, routes::people::login),
    },
    Route {
        methods: "POST",
        filter: MethodFilter::POST,
        path: "/v1/auth/refresh",
        auth: Auth::Public,
        limit: Limit::Login,
        body_bytes_max: LOGIN_BYTES_MAX,
        upstream: "user",
        about: "trades a refresh token for new tokens",
        serve: |methods| on(methods, routes::people::refresh),
    },
    Route {
        methods: "GET",
        filter: MethodFilter::GET,
        path: "/.well-known/jwks.json",
        auth: Auth::Public,
        limit: Limit::Light,
        body_bytes_max: NO_BODY_BYTES_MAX,
        upstream: "user",
        about: "the keys that access tokens are verified with",
        serve: |methods| on(methods, routes::keys::published),
    },
    Route {
        methods: "GET",
        filter: MethodFilter::GET,
        path: "/v1/flights/offers",
        auth: Auth::Public,
        limit: Limit::Read,
        body_bytes_max: NO_BODY_BYTES_MAX,
        upstream: "flights",
        about: "searches flights",
        serve: |methods| on(methods, routes::offers::flights),
    },
    Route {
        methods: "GET",
        filter: MethodFilter::GET,
        path: "/v1/stays/offers",
        auth: Auth::Public,
        limit: Limit::Read,
        body_bytes_max: NO_BODY_BYTES_MAX,
        upstream: "accommodation",
        about: "searches stays",
        serve: |methods| on(methods, routes::offers::stays),
    },
    Route {
        methods: "POST",
        filter: MethodFilter::POST,
        path: "/v1/orders",
        auth: Auth::Client,
        limit: Limit::Write,
        body_bytes_max: ORDER_BYTES_MAX,
        upstream: "orchestrator",
        about: "places an order; needs an Idempotency-Key",
        serve: |methods| on(methods, routes::place_order::handle),
    },
    Route {
        methods: "GET",
        filter: MethodFilter::GET,
        path: "/v1/orders",
        auth: Auth::Client,
        limit: Limit::Read,
        body_bytes_max: NO_BODY_BYTES_MAX,
        upstream: "order",
        about: "lists one's own orders",
        serve: |methods| on(methods, routes::orders::list),
    },
    Route {
        methods: "GET",
        filter: MethodFilter::GET,
        path: "/v1/orders/{order_id}",
        auth: Auth::Client,
        limit: Limit::Read,
        body_bytes_max: NO_BODY_BYTES_MAX,
        upstream: "order",
        about: "shows one of one's own orders",
        serve: |methods| on(methods, routes::orders::show),
    },
    Route {
        methods: "GET",
        filter: MethodFilter::GET,
        path: "/v1/operations/{operation_id}",
        auth: Auth::Client,
        limit: Limit::Read,
        body_bytes_max: NO_BODY_BYTES_MAX,
        upstream: "orchestrator",
        about: "shows how far an order has come",
        serve: |methods| on(methods, routes::operations::show),
    },
    Route {
        methods: "GET",
        filter: MethodFilter::GET,
        path: "/v1/operations/{operation_id}/events",
        auth: Auth::Client,
        limit: Limit::Stream,
        body_bytes_max: NO_BODY_BYTES_MAX,
        upstream: "orchestrator",
        about: "follows an order live (server-sent events)",
        serve: |methods| on(methods, routes::operation_events::follow),
    },
    Route {
        methods: "any",
        filter: ANY,
        path: "/ops/api/{*path}",
        auth: Auth::Operator,
        limit: Limit::Operate,
        body_bytes_max: OPERATION_BYTES_MAX,
        upstream: "orchestrator",
        about: "the orchestrator's interface, for operators",
        serve: |methods| on(methods, routes::operators::pass),
    },
];

/// Every row as axum serves it.
pub(crate) fn router(door: &Door, calls: &Calls) -> Router {
    let mut router = Router::new();
    for route in &ROUTES {
        // The last layer is the outermost: measured first, then who asks, then the body's size, then the body; what is
        // then done with it is not broken off.
        let served = (route.serve)(route.filter)
            .layer::<_, Infallible>(middleware::from_fn_with_state(calls.clone(), kit::http::run_to_end))
            .layer::<_, Infallible>(middleware::from_fn_with_state(BODY_TIMEOUT, kit::http::read_body_in_time))
            .layer(DefaultBodyLimit::max(route.body_bytes_max))
            .layer(middleware::from_fn_with_state(route.body_bytes_max, kit::http::refuse_large_body))
            .layer(middleware::from_fn_with_state((door.clone(), route.auth), auth::authenticate))
            .layer(middleware::from_fn_with_state((route.path, route.limit), measure));
        router = router.route(route.path, served);
    }
    router.with_state(door.clone())
}

async fn measure(State((path, limit)): State<(&'static str, Limit)>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    let labels = [("route", path.to_owned()), ("class", limit.as_str().to_owned()), ("status", status)];
    metrics::histogram!("sojourn_gateway_request_seconds", &labels).record(begun.elapsed());
    response
}

/// The table as the README shows it.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from("| call | who | what | answered by |\n|---|---|---|---|\n");
    for route in &ROUTES {
        let path = route.path.replace("{*path}", "...");
        let (methods, who, about, upstream) = (route.methods, route.auth.as_str(), route.about, route.upstream);
        text.push_str(&format!("| `{methods} {path}` | {who} | {about} | {upstream} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_reviewed() {
        insta::assert_snapshot!(markdown());
    }

    #[test]
    fn only_logins_searches_and_keys_are_public() {
        let public: Vec<_> =
            ROUTES.iter().filter(|route| route.auth == Auth::Public).map(|route| route.limit).collect();
        assert!(public.iter().all(|limit| matches!(limit, Limit::Login | Limit::Read | Limit::Light)), "{public:?}");
    }
}
