//! A client of the agency, as its web page would speak to the door.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use eventsource_stream::{Event, Eventsource as _};
use futures::StreamExt as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::wait;

/// The longest that one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);

/// The longest that a stream may stay open.
const STREAM_LIMIT: Duration = Duration::from_secs(300);

/// A logged-in person.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    gateway: String,
    /// The access token, for other tools of the same person.
    pub token: String,
    /// Who it is; empty when that was not told.
    pub user_id: String,
}

/// An answer of the door.
#[derive(Debug, Clone)]
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    /// The body as JSON; null when it is not JSON.
    pub body: Value,
}

impl Client {
    /// Registers a new person and logs in.
    ///
    /// # Errors
    /// When the door says no.
    pub async fn register(gateway: &str, name: &str) -> Result<Self> {
        let stranger = Self::stranger(gateway);
        let email = format!("{name}-{}@example.com", kit::ids::uuid_random().simple());
        let password = "a long enough passphrase";
        let person = json!({ "email": email, "password": password, "name": name });
        let answer = stranger.call(Method::POST, "/v1/auth/register", Some(person)).await?;
        ensure!(answer.status == StatusCode::CREATED, "registration: {answer:?}");
        let mut client = Self::login(gateway, &email, password).await?;
        answer.body["user_id"].as_str().context("no user_id")?.clone_into(&mut client.user_id);
        Ok(client)
    }

    /// Logs in.
    ///
    /// # Errors
    /// When the door says no.
    pub async fn login(gateway: &str, email: &str, password: &str) -> Result<Self> {
        let mut client = Self::stranger(gateway);
        let login = json!({ "email": email, "password": password });
        let answer = client.call(Method::POST, "/v1/auth/login", Some(login)).await?;
        ensure!(answer.status == StatusCode::OK, "login: {answer:?}");
        answer.body["access_token"].as_str().context("no access_token")?.clone_into(&mut client.token);
        Ok(client)
    }

    /// Somebody without a token.
    #[must_use]
    pub fn stranger(gateway: &str) -> Self {
        Self::with_token(gateway, "")
    }

    /// Somebody without a token on another host: an address of the loopback network.
    #[must_use]
    pub fn stranger_at(gateway: &str, host: Ipv4Addr) -> Self {
        Self::at(gateway, "", Some(host))
    }

    /// Somebody with a token of any kind.
    #[must_use]
    pub fn with_token(gateway: &str, token: &str) -> Self {
        Self::at(gateway, token, None)
    }

    fn at(gateway: &str, token: &str, host: Option<Ipv4Addr>) -> Self {
        let http = reqwest::Client::builder().timeout(REQUEST_LIMIT).local_address(host.map(IpAddr::V4));
        let http = http.build().expect("the client's settings are valid");
        Self { http, gateway: gateway.to_owned(), token: token.to_owned(), user_id: String::new() }
    }

    /// Calls the door.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Response> {
        self.call_with(method, path, body, &[]).await
    }

    /// Calls the door with more headers.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Result<Response> {
        let request = self.request(method, path, headers);
        answer(if let Some(body) = body { request.json(&body) } else { request }).await
    }

    /// Calls the door with any bytes for a body.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn call_raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Result<Response> {
        answer(self.request(method, path, headers).body(body)).await
    }

    /// Opens a stream of events, after the event `last` when there was one. The answer is the stream itself.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn open(&self, path: &str, last: Option<&str>) -> Result<reqwest::Response> {
        let last: Vec<_> = last.map(|last| ("last-event-id", last)).into_iter().collect();
        Ok(self.request(Method::GET, path, &last).timeout(STREAM_LIMIT).send().await?)
    }

    /// The status of an answer, whose body is not waited for.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn status_of(&self, method: Method, path: &str) -> Result<StatusCode> {
        Ok(self.request(method, path, &[]).send().await?.status())
    }

    fn request(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.gateway));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Result<Response> {
        self.call(Method::GET, path, None).await
    }

    /// The first flight offer of a search.
    ///
    /// # Errors
    /// When there is none.
    pub async fn flight(
        &self,
        from: &str,
        to: &str,
        date: chrono::NaiveDate,
        cabin: &str,
        passengers: u32,
    ) -> Result<Value> {
        let path = format!("/v1/flights/offers?from={from}&to={to}&date={date}&cabin={cabin}&passengers={passengers}");
        first_item(self.get(&path).await?)
    }

    /// The first stay offer of a search.
    ///
    /// # Errors
    /// When there is none.
    pub async fn stay(
        &self,
        place: &str,
        check_in: chrono::NaiveDate,
        check_out: chrono::NaiveDate,
        guests: u32,
    ) -> Result<Value> {
        let path = format!("/v1/stays/offers?place={place}&check_in={check_in}&check_out={check_out}&guests={guests}");
        first_item(self.get(&path).await?)
    }

    /// Places an order.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn order(&self, key: &str, order: &Value) -> Result<Response> {
        self.call_with(Method::POST, "/v1/orders", Some(order.clone()), &[("idempotency-key", key)]).await
    }

    /// Places an order and repeats the request, with the same key, for as long as the door is not able to take it.
    pub async fn order_surely(&self, key: &str, order: &Value, limit: Duration) -> Response {
        wait::until("an accepted order", limit, || async {
            let answer = self.order(key, order).await.map_err(|error| format!("{error:#}"))?;
            let again = answer.status.is_server_error() || answer.status == StatusCode::CONFLICT;
            if again { Err(format!("{answer:?}")) } else { Ok(answer) }
        })
        .await
    }

    /// Places an order that must be accepted; its id and its operation's.
    ///
    /// # Errors
    /// When it is not.
    pub async fn place(&self, key: &str, order: &Value) -> Result<(String, String)> {
        let accepted = self.order(key, order).await?;
        ensure!(accepted.status == StatusCode::ACCEPTED, "the order `{key}`: {accepted:?}");
        let id = |name: &str| accepted.body[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"));
        Ok((id("order_id")?, id("operation_id")?))
    }

    /// Waits until the door is open and everything behind it is ready.
    pub async fn until_ready(&self, limit: Duration, log: impl Fn() -> String) {
        wait::until("an open door", limit, || async {
            let ready = self.get("/ready").await.map_err(|error| format!("{error:#}\n{}", log()))?;
            if ready.status == StatusCode::OK { Ok(()) } else { Err(format!("{ready:?}")) }
        })
        .await;
    }

    /// Waits until an order is no longer pending.
    pub async fn until_settled(&self, order_id: &str, limit: Duration) -> Value {
        let path = format!("/v1/orders/{order_id}");
        wait::until(&format!("the end of {order_id}"), limit, || async {
            let answer = self.get(&path).await.map_err(|error| format!("{error:#}"))?;
            let settled = answer.status == StatusCode::OK && answer.body["status"] != "pending";
            if settled { Ok(answer.body) } else { Err(format!("{} {}", answer.status, answer.body)) }
        })
        .await
    }
}

/// An order of these offers for one traveller.
#[must_use]
pub fn order_of(offers: &[&Value], token: &str) -> Value {
    let items: Vec<Value> = offers.iter().map(|offer| json!({ "offer_id": offer["offer_id"] })).collect();
    json!({
        "items": items,
        "travellers": [{
            "given_name": "Ada", "family_name": "Example", "born_on": "1985-12-10", "email": "ada@example.com"
        }],
        "payment": { "token": token },
    })
}

/// Reads server-sent events until the stream closes, or until one of them is enough.
///
/// # Errors
/// When the stream breaks off.
pub async fn events(response: reqwest::Response, enough: impl Fn(&Event) -> bool) -> Result<Vec<Event>> {
    let mut stream = response.bytes_stream().eventsource();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event?);
        if events.last().is_some_and(&enough) {
            break;
        }
    }
    Ok(events)
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Response> {
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await?;
    Ok(Response { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
}

fn first_item(answer: Response) -> Result<Value> {
    ensure!(answer.status == StatusCode::OK, "search: {answer:?}");
    answer.body["items"].get(0).cloned().with_context(|| format!("no offer: {answer:?}"))
}
