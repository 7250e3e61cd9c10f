//! Speaking with the door: logins, and the operators' interface in the name of a session's person.

mod logins;

use std::time::Duration;

use contract::{
    problem::Problem,
    user::{Login, Logout, Refresh, ResetPassword, Tokens as Issued},
};
use reqwest::{
    RequestBuilder, Response, StatusCode, Url,
    header::{self, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    cookies::FORWARDED_FOR,
    session::{Session, Tokens},
};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an answer may take: the door gives up before and says why.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(22);

/// How long the end of a login may take: its person looks at the login page meanwhile.
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(3);

/// The largest answer, in bytes: a page of the longest journals.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A reason why the door gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoorError {
    /// The login has ended at the door.
    #[error("the login has ended")]
    LoginEnded,
    /// The door, or a part behind it, said no.
    #[error("{}", .0.detail.as_deref().unwrap_or(&.0.title))]
    Refused(Box<Problem>),
    /// The door is not there.
    #[error("the door cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// A look that this one shares failed.
    #[error("{0}")]
    Lost(String),
    /// The door answers in another language.
    #[error("the door's answer does not read: {0}")]
    Unreadable(String),
}

impl DoorError {
    /// True for a refusal with this code.
    pub(crate) fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Refused(problem) if problem.code == code)
    }

    /// True when the session of the request is of no use any more.
    pub(crate) fn ends_the_session(&self) -> bool {
        match self {
            Self::LoginEnded => true,
            Self::Refused(problem) => matches!(problem.status, 401 | 403),
            Self::Unreachable(_) | Self::Lost(_) | Self::Unreadable(_) => false,
        }
    }
}

/// A client of the door, for all sessions.
pub(crate) struct Door {
    http: reqwest::Client,
    internal_token: SecretString,
    base: String,
}

impl Door {
    pub(crate) fn new(url: &Url, internal_token: SecretString) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .no_proxy()
            .build()?;
        Ok(Self { http, internal_token, base: url.as_str().trim_end_matches('/').to_owned() })
    }

    /// Trades a password for tokens, in the name of the browser at an address.
    pub(crate) async fn log_in(&self, login: &Login, browser: Option<&HeaderValue>) -> Result<Tokens, DoorError> {
        self.tokens("/v1/auth/login", login, browser).await
    }

    /// Ends the login of a session.
    pub(crate) async fn log_out(&self, session: &Session) -> Result<(), DoorError> {
        let logout = Logout { refresh_token: session.tokens.lock().await.refresh.clone() };
        let request = self.http.post(format!("{}/v1/auth/logout", self.base)).timeout(LOGOUT_TIMEOUT).json(&logout);
        let request = request.bearer_auth(self.internal_token.expose_secret());
        checked(self.send(request).await?).await.map(drop)
    }

    /// Sets a password for a code, in the name of the browser at an address.
    pub(crate) async fn reset_password(
        &self,
        reset: &ResetPassword,
        browser: Option<&HeaderValue>,
    ) -> Result<(), DoorError> {
        self.in_the_name_of(browser, "/v1/auth/password/reset", reset).await.map(drop)
    }

    /// Changes what the person of a session logs in with, under `/v1/auth`.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        session: &Session,
        what: &str,
        body: &impl Serialize,
    ) -> Result<T, DoorError> {
        let url = format!("{}/v1/auth/{what}", self.base);
        read(self.authorized(session, |http| http.post(&url).timeout(ANSWER_TIMEOUT).json(body)).await?).await
    }

    /// Whether a token opens the operators' interface; a client's does not.
    pub(crate) async fn lets_in(&self, tokens: &Tokens) -> Result<(), DoorError> {
        let url = self.address("/sagas", &[("page_size", "1".to_owned())])?;
        let response = self.send(self.http.get(url).timeout(ANSWER_TIMEOUT).bearer_auth(&tokens.access)).await?;
        checked(response).await.map(drop)
    }

    /// Reads from the operators' interface.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        session: &Session,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, DoorError> {
        let url = self.address(path, query)?;
        read(self.authorized(session, |http| http.get(url.clone()).timeout(ANSWER_TIMEOUT)).await?).await
    }

    /// Changes something over the operators' interface.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        session: &Session,
        path: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<T, DoorError> {
        let url = self.address(path, &[])?;
        read(self.authorized(session, |http| http.post(url.clone()).timeout(ANSWER_TIMEOUT).json(body)).await?).await
    }

    /// Opens a live stream.
    pub(crate) async fn stream(&self, session: &Session, path: &str) -> Result<Response, DoorError> {
        let url = self.address(path, &[])?;
        self.authorized(session, |http| http.get(url.clone()).header(header::ACCEPT, "text/event-stream")).await
    }

    fn address(&self, path: &str, query: &[(&str, String)]) -> Result<Url, DoorError> {
        let mut url = Url::parse(&format!("{}/ops/api{path}", self.base))
            .map_err(|error| DoorError::Unreadable(error.to_string()))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    async fn tokens(
        &self,
        path: &str,
        body: &impl Serialize,
        browser: Option<&HeaderValue>,
    ) -> Result<Tokens, DoorError> {
        let issued: Issued = read(self.in_the_name_of(browser, path, body).await?).await?;
        Ok(issued.into())
    }

    /// The installation's token tells the door that the browser was counted when it asked for the page.
    async fn in_the_name_of(
        &self,
        browser: Option<&HeaderValue>,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Response, DoorError> {
        let request = self.http.post(format!("{}{path}", self.base)).timeout(ANSWER_TIMEOUT).json(body);
        let request = request.bearer_auth(self.internal_token.expose_secret());
        let request = browser.into_iter().fold(request, |request, browser| request.header(FORWARDED_FOR, browser));
        checked(self.send(request).await?).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, DoorError> {
        request.send().await.map_err(DoorError::Unreachable)
    }

    /// Sends with the session's token; one that has expired is refreshed once.
    async fn authorized(
        &self,
        session: &Session,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, DoorError> {
        let stale = session.tokens.lock().await.access.clone();
        let response = self.send(build(&self.http).bearer_auth(&stale)).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return checked(response).await;
        }
        let fresh = self.refresh(session, &stale).await?;
        checked(self.send(build(&self.http).bearer_auth(&fresh)).await?).await
    }

    /// A fresh access token in place of `stale`; a second request takes what the first one got.
    async fn refresh(&self, session: &Session, stale: &str) -> Result<String, DoorError> {
        let mut tokens = session.tokens.lock().await;
        if tokens.access == stale {
            let refresh = Refresh { refresh_token: tokens.refresh.clone() };
            *tokens = self.tokens("/v1/auth/refresh", &refresh, None).await?;
            if let Some(claims) = tokens.claims() {
                session.is_now(&claims);
            }
        }
        Ok(tokens.access.clone())
    }
}

async fn checked(response: Response) -> Result<Response, DoorError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = body(response).await.unwrap_or_default();
    let problem = serde_json::from_slice::<Problem>(&body);
    match problem {
        Ok(problem) if problem.code == "token_expired" || problem.code == "refresh_token_wrong" => {
            Err(DoorError::LoginEnded)
        }
        Ok(problem) => Err(DoorError::Refused(Box::new(problem))),
        Err(_) => Err(DoorError::Unreadable(format!("status {status}"))),
    }
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, DoorError> {
    let body = body(checked(response).await?).await?;
    serde_json::from_slice(&body).map_err(|error| DoorError::Unreadable(error.to_string()))
}

async fn body(mut response: Response) -> Result<Vec<u8>, DoorError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(DoorError::Unreachable)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(DoorError::Unreadable(format!("more than {ANSWER_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
