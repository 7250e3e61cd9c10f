//! Stripe's interface as far as it is read: forms out, JSON in. The key is in one header and in nothing that is logged.

use std::time::Duration;

use reqwest::{Method, StatusCode, Url, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use crate::provider::Unclear;

/// How long one request may take: two of them fit into the runtime's limit for a call.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// The version of the interface that this adapter was written against.
const VERSION: &str = "2025-03-31.basil";

/// The header under which a request that makes something is made once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The parameters of a request.
pub(super) type Form = Vec<(&'static str, String)>;

/// The client of Stripe's interface.
#[derive(Clone)]
pub(super) struct Wire {
    client: reqwest::Client,
    base: Url,
    key: SecretString,
}

/// An intent to be paid.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) created: i64,
    pub(super) currency: String,
    #[serde(default)]
    pub(super) amount_received: i64,
    pub(super) payment_method: Option<String>,
    pub(super) last_payment_error: Option<Problem>,
    pub(super) next_action: Option<NextAction>,
    #[serde(default, deserialize_with = "if_whole")]
    pub(super) latest_charge: Option<Charged>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct NextAction {
    pub(super) redirect_to_url: Option<Redirect>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Redirect {
    pub(super) url: String,
}

/// A charge as the provider shows it within an intent.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Charged {
    #[serde(default)]
    pub(super) amount_refunded: i64,
    pub(super) payment_method_details: Option<MethodDetails>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct MethodDetails {
    pub(super) card: Option<CardDetails>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct CardDetails {
    pub(super) capture_before: Option<i64>,
}

/// A refund as the provider shows it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Refund {
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) metadata: RefundMetadata,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct RefundMetadata {
    pub(super) key: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Listed<T> {
    pub(super) data: Vec<T>,
}

/// A no of Stripe's.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    pub(super) code: Option<String>,
    pub(super) decline_code: Option<String>,
    pub(super) param: Option<String>,
}

impl Problem {
    /// In words, for people.
    pub(super) fn text(&self) -> String {
        let Self { kind, code, .. } = self;
        format!("{kind} {}", code.as_deref().unwrap_or("without a code"))
    }
}

#[derive(Debug, Deserialize)]
struct Failed {
    error: Problem,
}

impl Wire {
    pub(super) fn new(base: Url, key: SecretString) -> Result<Self, reqwest::Error> {
        let client =
            reqwest::Client::builder().timeout(ANSWER_WITHIN).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { client, base, key })
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Form,
    ) -> Result<Result<T, Problem>, Unclear> {
        let query = encoded(&query);
        self.send(Method::GET, &format!("{path}?{query}"), None, None).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        form: Form,
        once: Option<&str>,
    ) -> Result<Result<T, Problem>, Unclear> {
        self.send(Method::POST, path, Some(encoded(&form)), once).await
    }

    /// An answer that can mean that it was done all the same, or that will pass by itself, is unclear.
    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        form: Option<String>,
        once: Option<&str>,
    ) -> Result<Result<T, Problem>, Unclear> {
        let address = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let mut request = self.client.request(method, address).bearer_auth(self.key.expose_secret());
        request = request.header("stripe-version", VERSION);
        if let Some(form) = form {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        }
        if let Some(once) = once {
            request = request.header(IDEMPOTENCY_KEY, once);
        }
        // Without the address: a query names payments.
        let lost = |error: reqwest::Error| Unclear(error.without_url().to_string());
        let answer = request.send().await.map_err(lost)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(lost)?;
        if status.is_success() {
            let read = serde_json::from_slice(&body);
            return read.map(Ok).map_err(|error| Unclear(format!("an answer that does not read: {error}")));
        }
        let problem = serde_json::from_slice::<Failed>(&body).map(|failed| failed.error).unwrap_or_default();
        match status {
            StatusCode::BAD_REQUEST | StatusCode::PAYMENT_REQUIRED | StatusCode::NOT_FOUND => Ok(Err(problem)),
            _ => Err(Unclear(format!("status {status}, {}", problem.text()))),
        }
    }
}

/// A charge is its id alone where it was not asked for in full.
fn if_whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Charged>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

fn encoded(form: &[(&'static str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}
