//! Speaking with the gateway: addresses, tokens, limits, and turning every kind of answer into data or a failure
//! with the right exit code.

mod credentials;
mod device;

use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::{
    Page, PageToken, RequestId,
    limits::PAGE_SIZE_MAX,
    problem::Problem,
    user::{Login, Logout, Refresh, Tokens},
};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Mutex;

pub(crate) use self::device::{Authorization, Traded};
use crate::{
    failure::{Exit, Failure},
    output,
    session::{Session, Store},
    stops::Stops,
};

/// How long a connection may take to be made: longer means that nobody listens there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take; the gateway itself gives up earlier and says why.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a live stream may be silent before it counts as lost; the server sends a sign of life more often.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// The pauses between the attempts of one change, when it is turned away or its answer is lost: together as long as another
/// orchestrator needs to take over.
const AGAIN_AFTER: [Duration; 3] = [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(2)];

/// The largest answer, in bytes: far above the longest journal, far below this machine's memory.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The words of a 503 that certainly had no effect: what was asked for was turned away before anything was done.
const NOTHING_DONE_CODES: [&str; 7] = [
    "broker_blocked",
    "broker_unavailable",
    "busy",
    "connections_exhausted",
    "orchestrator_draining",
    "shard_unavailable",
    "streams_exhausted",
];

/// Where the operators' interface begins.
const OPS: &str = "/ops/api";

/// Whose token is sent.
enum Credentials {
    /// From the command line or the environment.
    Given(String),
    /// From a login.
    Stored(Store, Mutex<Session>),
    /// None at all.
    Missing,
}

pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    credentials: Credentials,
    stops: Stops,
}

impl Client {
    /// For the gateway at `url`, with a given token or the stored login.
    pub(crate) fn new(url: &str, token: Option<&str>, stops: Stops) -> Result<Self, Failure> {
        let base = base_of(url)?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("sagactl/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Failure::error(format!("cannot prepare HTTP: {error}")))?;
        let credentials = match (token, Store::from_environment()) {
            (Some(token), _) => Credentials::Given(token.to_owned()),
            (None, Some(store)) => match store.load(&base)? {
                Some(session) => Credentials::Stored(store, Mutex::new(session)),
                None => Credentials::Missing,
            },
            (None, None) => Credentials::Missing,
        };
        Ok(Self { http, base, credentials, stops })
    }

    /// The address, as sessions are kept under it.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Reads from the operators' interface.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, Failure> {
        let mut url = Url::parse(&format!("{}{OPS}{path}", self.base))
            .map_err(|error| Failure::usage(format!("the address is wrong: {error}")))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = |http: &reqwest::Client| http.request(Method::GET, url.clone()).timeout(ANSWER_TIMEOUT);
        self.exchange(request).await.map_err(Failure::of_question)
    }

    /// Reads a listing page by page, at most `limit` items, and tells whether there are more.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        filter: &[(&str, String)],
        limit: usize,
    ) -> Result<(Vec<T>, bool), Failure> {
        let mut items: Vec<T> = Vec::new();
        let mut token: Option<PageToken> = None;
        loop {
            let wanted = (limit - items.len()).min(PAGE_SIZE_MAX as usize);
            let mut query = filter.to_vec();
            query.push(("page_size", wanted.to_string()));
            query.extend(token.take().map(|token| ("page_token", token.as_str().to_owned())));
            let page: Page<T> = self.get(path, &query).await?;
            items.extend(page.items.into_iter().take(wanted));
            token = page.next_page_token;
            if token.is_none() || items.len() >= limit {
                return Ok((items, token.is_some()));
            }
        }
    }

    /// Changes something over the operators' interface. It has no name, so it is sent again only when it was turned away.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<T, Failure> {
        self.change(path, body, |failure| failure.turned_away).await.map_err(Failure::of_change)
    }

    /// Changes something under a name, which `body` carries: sent again under it when its answer is lost.
    pub(crate) async fn post_named<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized),
        id: RequestId,
    ) -> Result<T, Failure> {
        let again = |failure: &Failure| failure.turned_away || failure.exit == Exit::Unsure;
        self.change(path, body, again).await.map_err(|failure| failure.of_named_change(id))
    }

    /// Sends a change, and sends it again while `again` says so.
    async fn change<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized),
        again: impl Fn(&Failure) -> bool,
    ) -> Result<T, Failure> {
        let url = format!("{}{OPS}{path}", self.base);
        let request = |http: &reqwest::Client| http.post(&url).timeout(ANSWER_TIMEOUT).json(body);
        let mut lost: Option<Failure> = None;
        let mut pauses = AGAIN_AFTER.into_iter();
        loop {
            let failure = match self.accomplished(request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let pause = pauses.next().filter(|_| again(&failure));
            if failure.exit == Exit::Unsure {
                lost = Some(failure.clone());
            }
            let ends = match pause {
                None => true,
                Some(pause) => tokio::select! {
                    _ = self.stops.reached() => true,
                    () = tokio::time::sleep(pause) => false,
                },
            };
            if ends {
                // Only the saga's own verdict says that what was sent before had no effect.
                let judged = matches!(failure.exit, Exit::Conflict | Exit::NotFound);
                return Err(lost.filter(|_| !judged).unwrap_or(failure));
            }
        }
    }

    /// The answer to a change that was carried out, and not one that a second operator must approve.
    async fn accomplished<T: DeserializeOwned>(
        &self,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<T, Failure> {
        let response = self.authorized(build).await?;
        if response.status() != StatusCode::ACCEPTED {
            return self.read(response).await;
        }
        let asked: serde_json::Value = self.read(response).await?;
        let id = output::field(&asked, "id");
        let message = "a second operator must approve it";
        let message = format!("{message}: `sagactl approvals approve {id}`, nothing is done yet");
        Err(Failure::new(Exit::Conflict, message))
    }

    /// Asks a question that needs a body, and changes nothing.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<T, Failure> {
        let url = format!("{}{OPS}{path}", self.base);
        let request = |http: &reqwest::Client| http.post(&url).timeout(ANSWER_TIMEOUT).json(body);
        self.exchange(request).await.map_err(Failure::of_question)
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<T, Failure> {
        let response = self.authorized(build).await?;
        self.read(response).await
    }

    /// Opens a live stream, after the event `last` when there was one.
    pub(crate) async fn stream(&self, path: &str, last: Option<&str>) -> Result<Response, Failure> {
        let url = format!("{}{OPS}{path}", self.base);
        self.authorized(|http| {
            let request = http.get(&url).header(header::ACCEPT, "text/event-stream");
            match last {
                Some(id) => request.header("last-event-id", id),
                None => request,
            }
        })
        .await
        .map_err(Failure::of_question)
    }

    /// Trades a password for tokens.
    pub(crate) async fn login(&self, login: &Login) -> Result<Session, Failure> {
        self.tokens("/v1/auth/login", login).await
    }

    /// Ends a login on the server.
    pub(crate) async fn log_out(&self, session: &Session) -> Result<(), Failure> {
        let logout = Logout { refresh_token: session.refresh_token.clone() };
        self.public("/v1/auth/logout", &logout).await.map_err(Failure::of_question).map(drop)
    }

    /// The end of the stored login, where the server has told it.
    pub(crate) async fn login_ends_at(&self) -> Option<DateTime<Utc>> {
        match &self.credentials {
            Credentials::Stored(_, session) => session.lock().await.ends_at,
            Credentials::Given(_) | Credentials::Missing => None,
        }
    }

    async fn tokens(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Result<Session, Failure> {
        let asked = async { self.session(self.public(path, body).await?).await };
        asked.await.map_err(Failure::of_question)
    }

    /// Asks for what needs no token.
    async fn public(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Result<Response, Failure> {
        let request = self.http.post(format!("{}{path}", self.base)).timeout(ANSWER_TIMEOUT).json(body);
        self.checked(request.send().await.map_err(|error| self.unreachable(&error))?).await
    }

    async fn session(&self, response: Response) -> Result<Session, Failure> {
        self.read::<Tokens>(response).await.map(Session::from)
    }

    /// Sends with a token; an expired stored one is refreshed once.
    async fn authorized(&self, build: impl Fn(&reqwest::Client) -> RequestBuilder) -> Result<Response, Failure> {
        let send = async |token: &str| {
            let sent = build(&self.http).bearer_auth(token).send();
            let late = || Err(Failure::new(Exit::Unsure, format!("{} did not answer in time", self.base)));
            // Only the head is awaited here: a live stream's body has no end.
            tokio::select! {
                answer = tokio::time::timeout(ANSWER_TIMEOUT, sent) => match answer {
                    Ok(answer) => answer.map_err(|error| self.unreachable(&error)),
                    Err(_) => late(),
                },
                () = self.stops.time_over() => late(),
            }
        };
        match &self.credentials {
            Credentials::Missing => Err(Failure::new(
                Exit::Auth,
                format!("no token for {}: run `sagactl login`, or pass --token or SAGACTL_TOKEN", self.base),
            )),
            Credentials::Given(token) => self.checked(send(token).await?).await,
            Credentials::Stored(store, session) => {
                let token = session.lock().await.access_token.clone();
                let response = send(&token).await?;
                if response.status() != StatusCode::UNAUTHORIZED {
                    return self.checked(response).await;
                }
                let token = self.refresh(store, session, &token).await?;
                self.checked(send(&token).await?).await
            }
        }
    }

    /// A fresh access token in place of `stale`; a second caller takes what the first one got.
    async fn refresh(&self, store: &Store, session: &Mutex<Session>, stale: &str) -> Result<String, Failure> {
        let mut session = session.lock().await;
        if session.access_token != stale {
            return Ok(session.access_token.clone());
        }
        let locked = store.lock()?;
        let stored = locked.load(&self.base)?.unwrap_or_else(|| session.clone());
        if stored.access_token == stale {
            let refresh = Refresh { refresh_token: stored.refresh_token };
            *session = self.tokens("/v1/auth/refresh", &refresh).await.map_err(|failure| match failure.exit {
                Exit::Auth => Failure::new(Exit::Auth, "the stored login has ended: run `sagactl login` again"),
                _ => failure,
            })?;
            locked.save(&self.base, session.clone())?;
        } else {
            *session = stored;
        }
        Ok(session.access_token.clone())
    }

    /// Passes a success on and turns everything else into a failure.
    async fn checked(&self, response: Response) -> Result<Response, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(response).await.unwrap_or_default();
        Err(refused(status, &body))
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failure> {
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|error| {
            let message = format!("{} answered what this sagactl does not understand: {error}", self.base);
            Failure::new(Exit::Unsure, message)
        })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let message = format!("the answer has more than {ANSWER_BYTES_MAX} bytes");
                return Err(Failure::new(Exit::Unsure, message));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let (exit, doing) = if error.is_connect() {
            (Exit::Error, "cannot reach the gateway at")
        } else {
            (Exit::Unsure, "lost the gateway at")
        };
        Failure::new(exit, format!("{doing} {}: {cause} (is it running? see --url)", self.base))
    }
}

/// The next piece of a live stream's body; an error when it stays silent for too long.
pub(crate) async fn within_silence<T>(next: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(SILENCE_TIMEOUT, next).await.ok()
}

/// Checks an address and cuts what must not be kept with it.
fn base_of(url: &str) -> Result<String, Failure> {
    let parsed = Url::parse(url).map_err(|error| Failure::usage(format!("`{url}` is not an address: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(Failure::usage(format!("`{url}` is not an http or https address")));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Failure::usage(
            "an address with a password in it would end up in histories: use --token or `sagactl login`",
        ));
    }
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}

/// The message and the exit code that an error answer leads to.
fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let problem = serde_json::from_slice::<Problem>(body).ok();
    let nothing_done = problem.as_ref().is_some_and(|problem| NOTHING_DONE_CODES.contains(&problem.code.as_str()));
    let exit = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Auth,
        StatusCode::NOT_FOUND => Exit::NotFound,
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => Exit::Conflict,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT if !nothing_done => {
            Exit::Unsure
        }
        _ => Exit::Error,
    };
    let code = problem.as_ref().map(|problem| problem.code.clone()).unwrap_or_default();
    let message = match problem {
        Some(problem) => output::printable(&told(problem)),
        None => format!("the gateway answered {status}"),
    };
    let turned_away = nothing_done || status == StatusCode::TOO_MANY_REQUESTS;
    Failure { turned_away, code, ..Failure::new(exit, message) }
}

fn told(problem: Problem) -> String {
    let mut text = problem.detail.unwrap_or(problem.title);
    for error in &problem.errors {
        text.push_str(&format!("; {}: {}", error.pointer, error.detail));
    }
    format!("{text} ({})", problem.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_without_its_last_slash_and_never_with_a_password() {
        assert_eq!(base_of("http://127.0.0.1:8080/").unwrap(), "http://127.0.0.1:8080");
        assert_eq!(base_of("https://ops.sojourn.example/door/").unwrap(), "https://ops.sojourn.example/door");
        for wrong in ["127.0.0.1", "ftp://x", "http://me:secret@host", ""] {
            assert_eq!(base_of(wrong).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn a_problem_is_told_with_its_code_and_places() {
        let body = r##"{"type":"x","title":"Wrong","status":422,"code":"reply_wrong","detail":"No such field",
            "errors":[{"detail":"missing","pointer":"#/reply"}]}"##;
        let failure = refused(StatusCode::UNPROCESSABLE_ENTITY, body.as_bytes());
        assert_eq!(failure.message, "No such field; #/reply: missing (reply_wrong)");
        let rude = r#"{"type":"x","title":"x","status":409,"code":"x","detail":"\u001b[2Jgone"}"#;
        assert_eq!(refused(StatusCode::CONFLICT, rude.as_bytes()).message, " [2Jgone (x)");
        for (code, exit) in [("busy", Exit::Error), ("journal_unavailable", Exit::Unsure)] {
            let body = format!(r#"{{"type":"x","title":"x","status":503,"code":"{code}"}}"#);
            assert_eq!(refused(StatusCode::SERVICE_UNAVAILABLE, body.as_bytes()).exit, exit, "{code}");
        }
        assert_eq!(refused(StatusCode::BAD_GATEWAY, b"<html>").exit, Exit::Unsure);
        assert_eq!(refused(StatusCode::BAD_GATEWAY, b"<html>").message, "the gateway answered 502 Bad Gateway");
    }
}
