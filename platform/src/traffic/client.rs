//! A client of the door, as the agency's own pages would be one: it logs in when it has to, names each request, and looks
//! again until something has come of it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// The longest that one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a client looks again at what it waits for.
const LOOK_EVERY: Duration = Duration::from_millis(700);

/// How long a client waits for something: past the longest pause of a person who shows Sojourn to others.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// A person at the door.
pub(super) struct Client {
    http: reqwest::Client,
    door: Url,
    email: &'static str,
    password: SecretString,
    /// The access token, once there is one.
    token: Mutex<Option<String>>,
}

impl Client {
    pub(super) fn new(door: Url, email: &'static str, password: SecretString) -> Self {
        Self { http: reqwest::Client::new(), door, email, password, token: Mutex::new(None) }
    }

    /// Reads a resource.
    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        self.call(|| Ok(self.http.get(self.door.join(path)?))).await
    }

    /// Asks for something under a name of its own, so that it is done once.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let name = kit::ids::request_id().to_string();
        let request = || {
            let request = self.http.post(self.door.join(path)?).header("idempotency-key", &name);
            Ok(request.json(body))
        };
        self.call(request).await
    }

    /// Lets go of something.
    pub(super) async fn delete(&self, path: &str) -> Result<Value> {
        self.call(|| Ok(self.http.delete(self.door.join(path)?))).await
    }

    /// Presses a button on the page of the payment provider, which knows nobody.
    pub(super) async fn press(&self, page: &str, button: &str) -> Result<()> {
        let request = self.http.request(Method::POST, format!("{page}/{button}")).timeout(ANSWER_TIMEOUT);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// Looks at a resource until it is as wished.
    pub(super) async fn until(&self, path: &str, wished: impl Fn(&Value) -> bool) -> Result<Value> {
        let looks = async {
            loop {
                match self.get(path).await {
                    Ok(found) if wished(&found) => return found,
                    // Not yet, or the door is busy: both pass.
                    Ok(_) | Err(_) => tokio::time::sleep(LOOK_EVERY).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, looks).await.with_context(|| format!("{path} stays as it is"))
    }

    /// The first offer of a search.
    pub(super) async fn first_offer(&self, path: &str) -> Result<String> {
        let found = self.get(path).await?;
        let offer = found["items"][0]["offer_id"].as_str().with_context(|| format!("nothing is on sale at {path}"))?;
        Ok(offer.to_owned())
    }

    async fn call(&self, request: impl Fn() -> Result<RequestBuilder>) -> Result<Value> {
        for _ in 0..2 {
            let token = self.token().await?;
            let response = request()?.bearer_auth(&token).timeout(ANSWER_TIMEOUT).send().await?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED {
                self.forget(&token).await;
                continue;
            }
            let body: Value = response.json().await.unwrap_or_default();
            ensure!(status.is_success(), "{status}: {}", body["code"]);
            return Ok(body);
        }
        bail!("the door does not take the token that it has just issued")
    }

    async fn token(&self) -> Result<String> {
        let mut token = self.token.lock().await;
        if let Some(token) = &*token {
            return Ok(token.clone());
        }
        let login = json!({ "email": self.email, "password": self.password.expose_secret() });
        let request = self.http.post(self.door.join("/v1/auth/login")?).json(&login).timeout(ANSWER_TIMEOUT);
        let issued: Value = request.send().await?.error_for_status()?.json().await?;
        let fresh = issued["access_token"].as_str().context("a login without a token")?.to_owned();
        *token = Some(fresh.clone());
        Ok(fresh)
    }

    /// Forgets a token that has expired, unless it has been replaced.
    async fn forget(&self, stale: &str) {
        let mut token = self.token.lock().await;
        if token.as_deref() == Some(stale) {
            *token = None;
        }
    }
}
