//! A browser without scripts: the operators' pages over plain HTTP, with the cookie that they set.

use anyhow::Context as _;
use reqwest::{RequestBuilder, header, redirect::Policy};

/// A browser with at most one session.
pub struct Pages {
    http: reqwest::Client,
    gateway: String,
    cookie: Option<String>,
}

/// A page, or where else the browser was sent.
#[derive(Debug)]
pub struct Shown {
    pub status: u16,
    pub location: Option<String>,
    /// The cookie that was set, with its attributes.
    pub set_cookie: Option<String>,
    pub policy: Option<String>,
    pub text: String,
}

impl Pages {
    /// A browser that knows nobody.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(gateway: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().redirect(Policy::none()).build()?;
        Ok(Self { http, gateway: gateway.to_owned(), cookie: None })
    }

    /// Opens a page.
    ///
    /// # Errors
    /// When the door does not answer.
    pub async fn open(&self, path: &str) -> anyhow::Result<Shown> {
        self.shown(self.http.get(format!("{}{path}", self.gateway))).await
    }

    /// Sends a form, as one of our own pages does.
    ///
    /// # Errors
    /// When the door does not answer.
    pub async fn send(&self, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Shown> {
        self.send_from(Some("same-origin"), path, form).await
    }

    /// Sends a form, as a page of the site that the browser names, if any.
    ///
    /// # Errors
    /// When the door does not answer.
    pub async fn send_from(&self, site: Option<&str>, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Shown> {
        let url = reqwest::Url::parse_with_params("http://form", form)?;
        let mut request = self
            .http
            .post(format!("{}{path}", self.gateway))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(url.query().unwrap_or_default().to_owned());
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        self.shown(request).await
    }

    /// Logs in, and keeps the session.
    ///
    /// # Errors
    /// When the door does not answer.
    pub async fn log_in(&mut self, email: &str, password: &str) -> anyhow::Result<Shown> {
        self.enter(&[("email", email), ("password", password)]).await
    }

    /// Shows a code in the second step of a login, and keeps the session.
    ///
    /// # Errors
    /// When the door does not answer.
    pub async fn show_code(&mut self, step: &str, code: &str) -> anyhow::Result<Shown> {
        self.enter(&[("step", step), ("code", code)]).await
    }

    async fn enter(&mut self, form: &[(&str, &str)]) -> anyhow::Result<Shown> {
        let shown = self.send("/ops/session", form).await?;
        if let Some(cookie) = &shown.set_cookie {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        Ok(shown)
    }

    async fn shown(&self, mut request: RequestBuilder) -> anyhow::Result<Shown> {
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let answer = request.send().await.context("asking for a page")?;
        let text_of = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Shown {
            status: answer.status().as_u16(),
            location: text_of(header::LOCATION),
            set_cookie: text_of(header::SET_COOKIE),
            policy: text_of(header::CONTENT_SECURITY_POLICY),
            text: answer.text().await.context("reading a page")?,
        })
    }
}
