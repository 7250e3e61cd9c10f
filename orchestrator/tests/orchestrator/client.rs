//! The orchestrator's HTTP interface as a caller uses it.

use std::{net::SocketAddr, time::Duration};

use contract::{
    Page, SagaId,
    orchestrator_api::{HEADER_ACTOR, HEADER_ROLE, RecordView, SagaStarted, SagaSummary, SagaView},
    saga::SagaStatus,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::rig::until;

/// Talks to one orchestrator.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(40)).build().unwrap();
        Self { http, base: format!("http://{address}") }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let token = kit::settings::DEVELOPMENT_INTERNAL_TOKEN;
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(token)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    /// Opens a live stream, after the event `last` when there was one.
    pub(crate) async fn events(&self, path: &str, last: Option<&str>) -> Result<Events, StatusCode> {
        let request = self.request(Method::GET, path);
        let request = request.timeout(Duration::from_secs(300));
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        let response = request.send().await.unwrap();
        match response.status() {
            StatusCode::OK => Ok(Events { response, text: String::new() }),
            other => Err(other),
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.post_as("usr_test", path, body).await
    }

    /// Acts as another operator than usual.
    pub(crate) async fn post_as(&self, actor: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.request(Method::POST, path).header(HEADER_ACTOR, actor).header(HEADER_ROLE, "operator");
        answer(request.json(body)).await
    }

    /// Starts a saga of this name with a script for the worker, as a client does: no operator's act that would be audited.
    pub(crate) async fn start(&self, name: &str, script: &str) -> SagaId {
        let request = self.request(Method::POST, "/api/sagas").json(&start_body(name, script));
        let (status, body) = answer(request).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        serde_json::from_value::<SagaStarted>(body).unwrap().saga_id
    }

    pub(crate) async fn act(&self, saga: SagaId, action: Value) -> (StatusCode, Value) {
        let mut body = action;
        body["reason"] = json!("because a test says so");
        self.post(&format!("/api/sagas/{saga}/actions"), &body).await
    }

    pub(crate) async fn view(&self, saga: SagaId) -> SagaView {
        let (status, body) = self.get(&format!("/api/sagas/{saga}")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_value(body).unwrap()
    }

    /// The listing with these parameters.
    pub(crate) async fn list(&self, query: &str) -> Vec<SagaSummary> {
        let (status, body) = self.get(&format!("/api/sagas?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_value::<Page<SagaSummary>>(body).unwrap().items
    }

    pub(crate) async fn journal(&self, saga: SagaId) -> Page<RecordView> {
        let (status, body) = self.get(&format!("/api/sagas/{saga}/journal")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_value(body).unwrap()
    }

    /// Waits until the saga stands there.
    pub(crate) async fn reaches(&self, saga: SagaId, status: SagaStatus) -> SagaView {
        until(&format!("{saga} is {}", status.as_str()), async || {
            let view = self.view(saga).await;
            (view.summary.status == status).then_some(view)
        })
        .await
    }
}

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) event: String,
    pub(crate) id: String,
    pub(crate) data: String,
}

/// A live stream in a test's hands.
pub(crate) struct Events {
    response: Response,
    text: String,
}

impl Events {
    /// The next event; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
                };
                let told = Told { event: field("event:"), id: field("id:"), data: field("data:") };
                self.text = rest.to_owned();
                if !told.event.is_empty() {
                    return Some(told);
                }
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

pub(crate) fn start_body(name: &str, script: &str) -> Value {
    json!({ "name": name, "business_key": "ord_1", "owner": "usr_1", "input": { "place": "Malé", "script": script } })
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
