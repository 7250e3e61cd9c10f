//! Calls to the parts behind the door: time limits, size limits, the next address when one does not answer, and every
//! failure turned into a problem that names the part and nothing else.
//!
//! Each address is looked at every few seconds. One that says it is not ready gets no writes, and reads only when no other
//! is left; a call that may be repeated does not wait for an address that has stopped answering those looks.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use contract::problem::Problem;
use kit::{http::ApiError, settings::error_chain};
use reqwest::{Response, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use crate::hop::{Hop, REQUEST_ID, TRACEPARENT};
pub(crate) use crate::part::Part;

/// How long a connection inside the installation may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one part may take to answer a read.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one part may take to answer a write: a commit after a takeover, or a password's hash on a busy machine.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long all attempts together may take; below the request's own limit, so that the answer can still be made.
const ATTEMPTS_TIMEOUT: Duration = Duration::from_secs(25);

/// How long a look at an address may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest answer, in bytes: a page of the largest orders.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The seconds after which a missing part is worth another try.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The longest wait that a part's own `Retry-After` can ask a client for, in seconds: the quarter of an hour for which the user
/// service looks at no code of a second factor after too many wrong ones.
const RETRY_AFTER_SECONDS_MAX: u32 = 15 * 60 + 1;

/// How long an address that failed is asked last: about as long as a restart or a takeover.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The orchestrator's words for a 503 that certainly had no effect. Any other may come after a commit whose answer was lost.
const NOTHING_DONE_CODES: [&str; 4] = ["busy", "broker_blocked", "shard_unavailable", "orchestrator_draining"];

/// The orchestrator's words for what it does not know, and one of a later program may.
const NOT_KNOWN_HERE_CODES: [&str; 2] = ["definition_unknown", "version_unknown"];

/// The kit's word for a wrong internal token: a mistake of the installation, not of the client.
const INTERNAL_TOKEN_CODE: &str = "internal_token";

/// The one client for all parts.
pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .no_proxy()
        .build()
}

/// A part and its addresses.
pub(crate) struct Upstream {
    service: &'static str,
    answers_in_pages: bool,
    /// The path that says how an address stands.
    look_at: &'static str,
    bases: Vec<Base>,
    /// Whose turn it is for a read.
    reads: AtomicUsize,
    /// Whose turn it is for a write. Counted apart: a read before each write would send all writes to one address.
    writes: AtomicUsize,
    http: reqwest::Client,
    token: SecretString,
}

/// One address of a part.
struct Base {
    url: String,
    /// When it last gave no usable answer; none once it has answered again.
    failed_at: Mutex<Option<Instant>>,
    standing: watch::Sender<Standing>,
}

/// How an address stood when it was last looked at; the order is that in which addresses are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// As before the first look.
    Ready,
    /// It answers, and says that it cannot do its work.
    NotReady,
    /// It does not answer.
    Gone,
}

impl Base {
    fn new(url: &Url) -> Self {
        let url = url.as_str().trim_end_matches('/').to_owned();
        Self { url, failed_at: Mutex::new(None), standing: watch::Sender::new(Standing::Ready) }
    }

    fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// Resolves when the address stops answering.
    async fn goes(&self) {
        let mut standing = self.standing.subscribe();
        loop {
            // The sender lives as long as this address.
            if standing.changed().await.is_ok() && *standing.borrow_and_update() == Standing::Gone {
                return;
            }
        }
    }

    fn rests(&self) -> bool {
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.is_some_and(|at| at.elapsed() < REST_AFTER_FAILURE)
    }

    fn note(&self, failed: bool) {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = failed.then(Instant::now);
    }
}

/// Whether a call may be sent again after an attempt whose outcome is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Reads, and writes that carry an idempotency key.
    Safe,
    /// Only when the attempt certainly had no effect: no connection, or a 503 that says so.
    Unsent,
}

/// A call to a part.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    pub(crate) repeat: Repeat,
    pub(crate) timeout: Duration,
}

impl Call {
    /// A read, which may be repeated.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            headers: HeaderMap::new(),
            body: None,
            repeat: Repeat::Safe,
            timeout: READ_TIMEOUT,
        }
    }

    /// A read with a query.
    pub(crate) fn get_with(path: &str, query: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        Self::get(format!("{path}?{}", pairs.extend_pairs(query).finish()))
    }

    /// A write of a JSON body.
    pub(crate) fn post(path: impl Into<String>, body: &impl Serialize, repeat: Repeat) -> Result<Self, UpstreamError> {
        let body = serde_json::to_vec(body).map_err(UpstreamError::Unsendable)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let (method, path) = (Method::POST, path.into());
        Ok(Self { method, path, headers, body: Some(body.into()), repeat, timeout: WRITE_TIMEOUT })
    }
}

/// A whole response with a status below 500.
#[derive(Debug)]
pub(crate) struct UpstreamResponse {
    service: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    /// The wait that the part asks for.
    retry_after_seconds: Option<u32>,
}

/// A reason why there is no usable response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// No address could be reached.
    #[error("the {service} service cannot be reached")]
    Unreachable {
        service: &'static str,
        #[source]
        source: reqwest::Error,
    },
    /// All addresses say that they cannot do their work.
    #[error("the {service} service is not ready")]
    NotReady { service: &'static str },
    /// It did not answer in time.
    #[error("the {service} service does not answer in time")]
    TimedOut { service: &'static str },
    /// It asked to come later.
    #[error("the {service} service takes nothing in right now")]
    Busy { service: &'static str, retry_after_seconds: u32, problem: Option<Box<Problem>> },
    /// It failed, and may have said why.
    #[error("the {service} service gave an answer that cannot be used")]
    Failed {
        service: &'static str,
        status: StatusCode,
        retry_after_seconds: Option<u32>,
        problem: Option<Box<Problem>>,
    },
    /// It answered something that is not in the contract.
    #[error("the {service} service gave an answer that cannot be used")]
    Unusable { service: &'static str, why: String },
    /// Our own mistake.
    #[error("a request could not be written as JSON")]
    Unsendable(#[source] serde_json::Error),
}

impl UpstreamError {
    const fn outcome(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::NotReady { .. } => "not_ready",
            Self::TimedOut { .. } => "timed_out",
            Self::Busy { .. } => "busy",
            Self::Failed { .. } => "failed",
            Self::Unusable { .. } => "unusable",
            Self::Unsendable(_) => "unsendable",
        }
    }
}

impl From<UpstreamError> for ApiError {
    fn from(error: UpstreamError) -> Self {
        let detail = error.to_string();
        match error {
            UpstreamError::Unreachable { .. } | UpstreamError::NotReady { .. } | UpstreamError::TimedOut { .. } => {
                Self::unavailable("service_unavailable", detail, RETRY_AFTER_SECONDS)
            }
            UpstreamError::Busy { retry_after_seconds, .. } => {
                Self::unavailable("service_unavailable", detail, retry_after_seconds)
            }
            UpstreamError::Failed { .. } | UpstreamError::Unusable { .. } => {
                Self::new(StatusCode::BAD_GATEWAY, "bad_gateway", "A part of Sojourn failed").detail(detail)
            }
            UpstreamError::Unsendable(_) => Self::internal(),
        }
    }
}

impl UpstreamError {
    /// As operators see it: in the part's own words, where it has said what is wrong.
    pub(crate) fn for_operators(self) -> ApiError {
        match self {
            Self::Busy { retry_after_seconds, problem: Some(problem), .. } => {
                said(StatusCode::SERVICE_UNAVAILABLE, *problem).retry_after(retry_after_seconds)
            }
            Self::Failed { status, retry_after_seconds, problem: Some(problem), .. } => {
                said_with_wait(status, *problem, retry_after_seconds)
            }
            other => other.into(),
        }
    }
}

/// A part's problem as ours.
fn said(status: StatusCode, problem: Problem) -> ApiError {
    let error = ApiError::new(status, problem.code, problem.title).errors(problem.errors);
    match problem.detail {
        Some(detail) => error.detail(detail),
        None => error,
    }
}

/// The same, with the wait that the part asks for, where it asks for one.
fn said_with_wait(status: StatusCode, problem: Problem, retry_after_seconds: Option<u32>) -> ApiError {
    let error = said(status, problem);
    match retry_after_seconds {
        Some(seconds) => error.retry_after(seconds),
        None => error,
    }
}

impl Upstream {
    pub(crate) fn new(part: Part, urls: &[Url], http: reqwest::Client, token: SecretString) -> Self {
        let bases = urls.iter().map(Base::new).collect();
        let (service, look_at) = (part.as_str(), part.look_at());
        let answers_in_pages = part.answers_in_pages();
        let (reads, writes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { service, answers_in_pages, look_at, bases, reads, writes, http, token }
    }

    pub(crate) const fn service(&self) -> &'static str {
        self.service
    }

    /// Calls and reads the whole answer.
    pub(crate) async fn call(&self, hop: &Hop, call: Call) -> Result<UpstreamResponse, UpstreamError> {
        match self.attempts(hop, &call, Wanted::Whole).await? {
            Received::Whole(answer) => Ok(answer),
            Received::Open(response) => self.read(response).await,
        }
    }

    /// Calls and leaves the answer's body to be read as it comes.
    pub(crate) async fn open(&self, hop: &Hop, call: Call) -> Result<Response, UpstreamError> {
        match self.attempts(hop, &call, Wanted::Open).await? {
            Received::Open(response) => Ok(response),
            Received::Whole(answer) => Ok(answer.into_response()),
        }
    }

    /// Looks at all addresses, and tells whether one of them is ready; the error says nothing of their insides.
    pub(crate) async fn look(&self) -> Result<(), String> {
        let standings = futures::future::join_all(self.bases.iter().map(|base| self.look_at(base))).await;
        for (base, standing) in self.bases.iter().zip(&standings) {
            let known = base.standing();
            if known != *standing {
                tracing::info!(
                    service = self.service,
                    url = base.url,
                    ?known,
                    ?standing,
                    "an address stands differently"
                );
                base.standing.send_replace(*standing);
            }
        }
        match standings.into_iter().min() {
            Some(Standing::Ready) => Ok(()),
            Some(Standing::NotReady) => Err(format!("the {} service is not ready", self.service)),
            Some(Standing::Gone) | None => Err(format!("no answer from the {} service", self.service)),
        }
    }

    async fn look_at(&self, base: &Base) -> Standing {
        let asked = self.http.get(format!("{}{}", base.url, self.look_at)).timeout(LOOK_TIMEOUT).send().await;
        match asked {
            Ok(response) if response.status().is_success() => Standing::Ready,
            Ok(_) => Standing::NotReady,
            Err(_) => Standing::Gone,
        }
    }

    async fn attempts(&self, hop: &Hop, call: &Call, wanted: Wanted) -> Result<Received, UpstreamError> {
        let begun = Instant::now();
        let received = self.try_in_order(hop, call, wanted).await;
        self.note(begun, call, received.as_ref().err());
        received
    }

    /// Tries the addresses one after the other, those that failed just now last.
    async fn try_in_order(&self, hop: &Hop, call: &Call, wanted: Wanted) -> Result<Received, UpstreamError> {
        let service = self.service;
        let deadline = tokio::time::Instant::now() + ATTEMPTS_TIMEOUT;
        let mut last = UpstreamError::NotReady { service };
        let mut bases = self.in_order(&call.method).into_iter().peekable();
        while let Some(base) = bases.next() {
            let until = deadline.min(tokio::time::Instant::now() + call.timeout);
            // Only where another one could answer, and doing it twice is doing it once.
            let leaves = call.repeat == Repeat::Safe && bases.peek().is_some();
            let attempted = tokio::select! {
                attempted = self.attempt(base, hop, call, wanted) => attempted,
                () = tokio::time::sleep_until(until) => Err(UpstreamError::TimedOut { service }),
                () = base.goes(), if leaves => Err(UpstreamError::TimedOut { service }),
            };
            let error = match attempted {
                Ok(Received::Whole(answer)) if answer.is_not_known_here() && bases.peek().is_some() => continue,
                Ok(received) => {
                    base.note(false);
                    return Ok(received);
                }
                Err(error) => error,
            };
            base.note(true);
            let again = match &error {
                UpstreamError::Busy { problem, .. } => {
                    let nothing_done =
                        problem.as_ref().is_some_and(|problem| NOTHING_DONE_CODES.contains(&problem.code.as_str()));
                    call.repeat == Repeat::Safe || nothing_done
                }
                UpstreamError::Unreachable { source, .. } => source.is_connect() || call.repeat == Repeat::Safe,
                UpstreamError::TimedOut { .. } => call.repeat == Repeat::Safe,
                UpstreamError::NotReady { .. }
                | UpstreamError::Failed { .. }
                | UpstreamError::Unusable { .. }
                | UpstreamError::Unsendable(_) => false,
            };
            last = error;
            if !again || tokio::time::Instant::now() >= deadline {
                break;
            }
        }
        Err(last)
    }

    async fn attempt(&self, base: &Base, hop: &Hop, call: &Call, wanted: Wanted) -> Result<Received, UpstreamError> {
        let response = self.send(base, hop, call).await?;
        match wanted {
            Wanted::Whole => Ok(Received::Whole(self.read(response).await?)),
            Wanted::Open => Ok(Received::Open(response)),
        }
    }

    async fn send(&self, base: &Base, hop: &Hop, call: &Call) -> Result<Response, UpstreamError> {
        let mut request = self
            .http
            .request(call.method.clone(), format!("{}{}", base.url, call.path))
            .headers(call.headers.clone())
            .bearer_auth(self.token.expose_secret());
        for (name, value) in [(REQUEST_ID, &hop.request_id), (TRACEPARENT, &hop.traceparent)] {
            if let Some(value) = value {
                request = request.header(name, value.clone());
            }
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let service = self.service;
        let response = request.send().await.map_err(|source| UpstreamError::Unreachable { service, source })?;
        let status = response.status();
        if status.is_server_error() && !self.answers_in_pages {
            let retry_after_seconds = retry_after(response.headers());
            // The status has been told; a body that breaks off takes nothing from it.
            let problem = match self.read(response).await {
                Ok(answer) => serde_json::from_slice(&answer.body).ok().map(Box::new),
                Err(_) => None,
            };
            return Err(if status == StatusCode::SERVICE_UNAVAILABLE {
                UpstreamError::Busy {
                    service,
                    retry_after_seconds: retry_after_seconds.unwrap_or(RETRY_AFTER_SECONDS),
                    problem,
                }
            } else {
                UpstreamError::Failed { service, status, retry_after_seconds, problem }
            });
        }
        if status == StatusCode::UNAUTHORIZED {
            return self.unauthorized(response).await;
        }
        Ok(response)
    }

    /// A 401 can be the answer to a client's password, or to our own token: the latter is not for the client.
    async fn unauthorized(&self, response: Response) -> Result<Response, UpstreamError> {
        let headers = response.headers().clone();
        let answer = self.read(response).await?;
        let code = serde_json::from_slice::<Problem>(&answer.body).map(|problem| problem.code);
        if code.is_ok_and(|code| code == INTERNAL_TOKEN_CODE) {
            let why = "it does not take this gateway's internal token (SOJOURN_INTERNAL_TOKEN)".to_owned();
            return Err(UpstreamError::Unusable { service: self.service, why });
        }
        let mut rebuilt = answer.into_response();
        *rebuilt.headers_mut() = headers;
        Ok(rebuilt)
    }

    async fn read(&self, mut response: Response) -> Result<UpstreamResponse, UpstreamError> {
        let service = self.service;
        let (status, retry_after_seconds) = (response.status(), retry_after(response.headers()));
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|source| UpstreamError::Unreachable { service, source })?
        {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(UpstreamError::Unusable { service, why: format!("more than {ANSWER_BYTES_MAX} bytes") });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(UpstreamResponse { service, status, body: body.into(), retry_after_seconds })
    }

    /// The addresses to try, in turn, so that each bears its part: those that are ready first, and among them those that
    /// have not just failed. One that says it is not ready gets no write.
    fn in_order(&self, method: &Method) -> Vec<&Base> {
        let reading = method.is_safe();
        let turn = if reading { &self.reads } else { &self.writes };
        let first = turn.fetch_add(1, Ordering::Relaxed) % self.bases.len().max(1);
        let turned = self.bases.iter().cycle().skip(first).take(self.bases.len());
        let mut order: Vec<&Base> = turned.filter(|base| reading || base.standing() != Standing::NotReady).collect();
        order.sort_by_key(|base| (base.standing(), base.rests()));
        order
    }

    fn note(&self, begun: Instant, call: &Call, error: Option<&UpstreamError>) {
        let outcome = error.map_or("answered", UpstreamError::outcome);
        metrics::histogram!("sojourn_gateway_upstream_seconds", "service" => self.service, "outcome" => outcome)
            .record(begun.elapsed());
        if let Some(error) = error {
            let why = match error {
                UpstreamError::Unusable { why, .. } => why.clone(),
                UpstreamError::Failed { status, problem, .. } => {
                    format!("status {status} {}", problem.as_ref().map_or("", |problem| &problem.code))
                }
                other => error_chain(other),
            };
            // The path without its query: what people search for is private.
            let path = call.path.split('?').next().unwrap_or_default();
            tracing::warn!(service = self.service, method = %call.method, path, why, "a part behind the door failed");
        }
    }
}

/// How much of an answer is waited for.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    /// All of it.
    Whole,
    /// Its head; the body is read as it comes.
    Open,
}

/// As much of a response as was [`Wanted`].
enum Received {
    Whole(UpstreamResponse),
    Open(Response),
}

impl UpstreamResponse {
    fn into_response(self) -> Response {
        let mut response = axum::http::Response::new(self.body);
        *response.status_mut() = self.status;
        Response::from(response)
    }

    /// The body as what it should be.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, UpstreamError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.unusable(&format!("a body that does not read: {error}")))
    }

    /// True for the answer of a program that does not know the definition that it was asked for.
    fn is_not_known_here(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
            && self.code().is_some_and(|code| NOT_KNOWN_HERE_CODES.contains(&code.as_str()))
    }

    /// The problem's code, when the body is a problem.
    pub(crate) fn code(&self) -> Option<String> {
        Some(serde_json::from_slice::<Problem>(&self.body).ok()?.code)
    }

    /// The problem's own words, when the body is a problem.
    pub(crate) fn detail(&self) -> Option<String> {
        serde_json::from_slice::<Problem>(&self.body).ok()?.detail
    }

    /// The client's mistake, as the part describes it.
    pub(crate) fn problem(&self) -> ApiError {
        let Ok(problem) = serde_json::from_slice::<Problem>(&self.body) else {
            return self.unexpected().into();
        };
        said_with_wait(self.status, problem, self.retry_after_seconds)
    }

    /// The error for a status that is not in the contract.
    pub(crate) fn unexpected(&self) -> UpstreamError {
        self.unusable(&format!("unexpected status {}", self.status))
    }

    fn unusable(&self, why: &str) -> UpstreamError {
        tracing::error!(service = self.service, why, "a part behind the door broke the contract");
        UpstreamError::Unusable { service: self.service, why: why.to_owned() }
    }
}

fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let told: Option<u32> = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    told.map(|seconds| seconds.clamp(1, RETRY_AFTER_SECONDS_MAX))
}
