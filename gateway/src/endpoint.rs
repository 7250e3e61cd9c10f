//! The parts of a route's declaration, and the layers around its handler. Each route is declared beside its handler;
//! `routes` collects them.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodFilter, MethodRouter},
};
use kit::http::{ApiError, Calls};

use crate::{
    access::{self, Access},
    address::{ClientAddress, FromInside},
    app::App,
    connections::Kind,
    throttle::too_many,
    upstream::Part,
};

/// The largest registration or login, in bytes: an address, a password and a name, several times over.
pub(crate) const LOGIN_BYTES_MAX: usize = 8 * 1024;

/// The largest request that starts a saga, in bytes: the largest input that a saga can have.
pub(crate) const START_BYTES_MAX: usize = contract::limits::PAYLOAD_BYTES_MAX;

/// The largest request of an operator, in bytes: a skipped step's reply and a reason.
pub(crate) const OPERATION_BYTES_MAX: usize = kit::http::BODY_BYTES_MAX;

/// Reads have no body.
pub(crate) const NO_BODY_BYTES_MAX: usize = 0;

/// How long a body may take to arrive: 64 KiB over the slowest network of a phone, and time left for an answer.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// The seconds after which a client that found no place for its connection should come back.
const FULL_RETRY_AFTER_SECONDS: u32 = 5;

/// One route of the door.
pub(crate) struct Endpoint {
    pub(crate) verb: Verb,
    /// The address, in axum's notation.
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) limit: Limit,
    pub(crate) body_bytes_max: usize,
    /// The part behind the door that answers.
    pub(crate) part: Part,
    /// The README's words for what it does.
    pub(crate) about: &'static str,
    /// The handler, bound to the methods of the verb.
    pub(crate) handler: fn(MethodFilter) -> MethodRouter<App>,
}

/// The methods of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Delete,
    /// Every method that changes something.
    Change,
    /// Every method that has a meaning in HTTP APIs.
    Any,
}

impl Verb {
    /// The word in documentation.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
            Self::Change => "POST, PUT, PATCH, DELETE",
            Self::Any => "any",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Delete => MethodFilter::DELETE,
            Self::Change => MethodFilter::POST.or(MethodFilter::PUT).or(MethodFilter::PATCH).or(MethodFilter::DELETE),
            Self::Any => MethodFilter::GET.or(Self::Change.filter()),
        }
    }
}

/// The cost of a call: the classes by which metrics are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Cheap and unchanging.
    Light,
    /// A query of one domain.
    Read,
    /// A password is hashed, or guessed.
    Login,
    /// A saga is started.
    Write,
    /// A connection stays open.
    Stream,
    /// An operator acts.
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

impl Endpoint {
    /// Adds the route, with its layers, to a router.
    pub(crate) fn serve(&self, router: Router<App>, app: &App, calls: &Calls) -> Router<App> {
        // The last layer is the outermost: measured first, then whether there is room, then who asks, then the body's
        // size, then the body; what is then done with it is not broken off.
        let served = (self.handler)(self.verb.filter())
            .layer::<_, Infallible>(middleware::from_fn_with_state(calls.clone(), kit::http::run_to_end))
            .layer::<_, Infallible>(middleware::from_fn_with_state(BODY_TIMEOUT, kit::http::read_body_in_time))
            .layer(DefaultBodyLimit::max(self.body_bytes_max))
            .layer(middleware::from_fn_with_state(self.body_bytes_max, kit::http::refuse_large_body))
            .layer(middleware::from_fn_with_state((app.clone(), self.access), access::authenticate))
            .layer(middleware::from_fn_with_state((app.clone(), self.access, self.limit), throttle))
            .layer(middleware::from_fn_with_state((self.access, self.limit), keep_reserve))
            .layer(middleware::from_fn_with_state((self.path, self.limit), measure));
        router.route(self.path, served)
    }
}

/// A connection of the reserve serves operators, and logins, without which nobody is one.
async fn keep_reserve(State((access, limit)): State<(Access, Limit)>, request: Request, next: Next) -> Response {
    let reserved = request.extensions().get() == Some(&Kind::Reserved);
    if !reserved || access.is_for_operating() || limit == Limit::Login {
        return next.run(request).await;
    }
    let detail = "too many connections are open right now";
    let full = ApiError::unavailable("connections_exhausted", detail, FULL_RETRY_AFTER_SECONDS);
    let mut response = full.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Requests that anybody may make are rationed by address: there is no person yet by whom they could be.
async fn throttle(
    State((app, access, limit)): State<(App, Access, Limit)>,
    address: ClientAddress,
    request: Request,
    next: Next,
) -> Response {
    if request.extensions().get::<FromInside>().is_some() {
        return next.run(request).await;
    }
    let allowance = match (access, limit) {
        (Access::Public | Access::Browser, Limit::Login) => &app.logins,
        (Access::Public, Limit::Read) => &app.searches,
        (Access::Public, Limit::Light | Limit::Write | Limit::Stream | Limit::Operate)
        | (Access::Client | Access::Viewer | Access::Operator | Access::Admin | Access::Browser, _) => {
            return next.run(request).await;
        }
    };
    match allowance.ask(address) {
        Ok(()) => next.run(request).await,
        Err(wait) => too_many("rate_exceeded", "too many requests come from this address", wait).into_response(),
    }
}

async fn measure(State((path, limit)): State<(&'static str, Limit)>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    let labels = [("route", path.to_owned()), ("class", limit.as_str().to_owned()), ("status", status)];
    metrics::histogram!("sojourn_gateway_request_seconds", &labels).record(begun.elapsed());
    response
}
