//! The user domain as a test has it: on a database of its own, with a clock that is set by hand, and with the people that the test
//! makes.

use std::{ops::Deref, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use contract::user::Claims;
use secrecy::SecretString;
use serde_json::{Value, json};
use tower::ServiceExt;
use worker_runtime::testkit::{Harness, ManualClock};
use worker_user::Settings;

/// The password of everybody.
pub(crate) const PASSWORD: &str = "a long enough passphrase";

/// The address of [`Ann`].
pub(crate) const EMAIL: &str = "ann@example.com";

pub(crate) struct House {
    pub(crate) harness: Harness,
    pub(crate) settings: Settings,
    clock: Arc<ManualClock>,
    database: String,
    _folder: tempfile::TempDir,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::with(false).await
    }

    pub(crate) async fn with(require_second_factor: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            jwt_signing_key_file: folder.path().join("jwt.pem"),
            access_token_minutes: 15,
            session_days: 30,
            demo_password: SecretString::from("unused in this test"),
            second_factor_keys: vec![SecretString::from("a key of thirty-two bytes, and a bit more")],
            require_second_factor: Some(require_second_factor),
        };
        let clock = Arc::new(ManualClock::new(kit::clock::system().now()));
        let database = private_servers::testing::database("user").await;
        let domain = worker_user::domain(&settings, false).unwrap();
        let harness = Harness::open(domain, &database, clock.clone()).await;
        Self { harness, settings, clock, database, _folder: folder }
    }

    /// Begins as a worker does, in production or not.
    pub(crate) async fn begin(&self, production: bool) -> Result<(), String> {
        let domain = worker_user::domain(&self.settings, production).unwrap();
        Harness::begin(domain, &self.database, self.clock.clone()).await.map_err(|error| error.to_string())
    }

    pub(crate) fn later(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// The seconds of the clock.
    pub(crate) fn second(&self) -> u64 {
        kit::clock::Clock::now(&*self.clock).timestamp().try_into().unwrap()
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(format!("/internal/user/{path}"));
        let request = request.header("content-type", "application/json");
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let answer = self.harness.reads().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, Some(body)).await
    }

    /// A document that is there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, document) = self.call(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {document}");
        document
    }

    /// The answer to a call that succeeds.
    pub(crate) async fn done(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.post(path, body).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    /// The code with which a call is refused.
    pub(crate) async fn refused(&self, path: &str, body: Value) -> String {
        let (status, problem) = self.post(path, body).await;
        assert!(status.is_client_error(), "{path}: {status} {problem}");
        problem["code"].as_str().unwrap().to_owned()
    }

    /// Makes a person with a role, and answers the id.
    pub(crate) async fn create(&self, email: &str, role: &str) -> String {
        let person = json!({
            "email": email, "name": "Ada", "password": PASSWORD, "role": role, "reason": "a test says so",
        });
        let (status, made) = self.post("people", person).await;
        assert_eq!((status, &made["role"]), (StatusCode::CREATED, &json!(role)), "{made}");
        made["user_id"].as_str().unwrap().to_owned()
    }

    /// An act of an admin on a person.
    pub(crate) async fn change(&self, id: &str, act: &str, mut body: Value) -> (StatusCode, Value) {
        body["reason"] = json!("a test says so");
        self.post(&format!("people/{id}/{act}"), body).await
    }

    pub(crate) async fn log_in(&self, email: &str) -> Value {
        let (status, tokens) = self.post("sessions", json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    }

    pub(crate) async fn refresh(&self, tokens: &Value) -> (StatusCode, Value) {
        self.post("sessions/refresh", json!({ "refresh_token": tokens["refresh_token"] })).await
    }
}

/// A house with one person, an operator.
pub(crate) struct Ann {
    house: House,
    pub(crate) id: String,
}

impl Deref for Ann {
    type Target = House;

    fn deref(&self) -> &House {
        &self.house
    }
}

impl Ann {
    pub(crate) async fn at_home() -> Self {
        Self::of(House::open().await).await
    }

    pub(crate) async fn of(house: House) -> Self {
        let id = house.create(EMAIL, "operator").await;
        Self { house, id }
    }

    /// The address of something of hers.
    pub(crate) fn own(&self, what: &str) -> String {
        format!("people/{}/{what}", self.id)
    }
}

/// The claims of an access token, whose signature tests of its own look at.
pub(crate) fn claims(tokens: &Value) -> Claims {
    let payload = tokens["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
