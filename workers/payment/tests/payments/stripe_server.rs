//! A stateful server of Stripe's shape, on loopback: intents, confirms, captures, cancels, refunds and the search, with
//! answers that get lost, and statuses that mean "later".

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

/// The secret key that the server takes.
pub(crate) const KEY: &str = "sk_test_of_the_server";

/// How the next request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is turned away with this status, and has no effect.
    Status(u16),
    /// It takes effect, and its answer is a 500.
    LostAnswer,
}

/// The server's state.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) intents: BTreeMap<String, Value>,
    pub(crate) refunds: Vec<Value>,
    /// Answers by idempotency key.
    keys: BTreeMap<String, Value>,
    /// The trouble of each coming request.
    troubles: VecDeque<Option<Trouble>>,
}

/// A running server.
#[derive(Clone)]
pub(crate) struct StripeServer {
    pub(crate) address: SocketAddr,
    books: Arc<Mutex<Books>>,
}

type Form = BTreeMap<String, String>;
type Answered = Result<Value, Box<Response>>;

impl StripeServer {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, books: Arc::default() };
        let router = Router::new()
            .route("/v1/payment_intents", post(create))
            .route("/v1/payment_intents/search", get(search))
            .route("/v1/payment_intents/{id}", get(retrieve))
            .route("/v1/payment_intents/{id}/{verb}", post(change))
            .route("/v1/refunds", get(refunds).post(refund))
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// Has the next request but `at` go wrong.
    pub(crate) fn spoil(&self, at: usize, trouble: Trouble) {
        let mut books = self.books();
        books.troubles.clear();
        books.troubles.extend(std::iter::repeat_n(None, at).chain([Some(trouble)]));
    }

    /// The intents in this state.
    pub(crate) fn count(&self, status: &str) -> usize {
        self.books().intents.values().filter(|intent| intent["status"] == status).count()
    }

    /// The provider forgets the keys, as it does after a day.
    pub(crate) fn forget_keys(&self) {
        self.books().keys.clear();
    }

    /// Changes all intents from one state to another, as the client or a person by hand does.
    pub(crate) fn turn(&self, from: &str, to: &str) {
        for intent in self.books().intents.values_mut().filter(|intent| intent["status"] == from) {
            intent["status"] = to.into();
            if to == "succeeded" {
                intent["amount_received"] = intent["amount"].clone();
            }
            if to == "requires_payment_method" {
                intent["last_payment_error"] =
                    json!({ "type": "card_error", "code": "payment_intent_authentication_failure" });
            }
        }
    }

    /// Answers a request that changes something: once a key, and with the trouble that is due.
    fn answer(&self, headers: &HeaderMap, work: impl FnOnce(&mut Books) -> Answered) -> Response {
        if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(&format!("Bearer {KEY}")) {
            return problem(401, "invalid_request_error", "api_key", &[]);
        }
        let mut books = self.books();
        let trouble = books.troubles.pop_front().flatten();
        if let Some(Trouble::Status(status)) = trouble {
            return problem(status, "api_error", "lock_timeout", &[]);
        }
        let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
        let known = key.as_ref().and_then(|key| books.keys.get(key)).cloned();
        let answered = known.map_or_else(|| work(&mut books), Ok);
        if let (Some(key), Ok(answer)) = (key, &answered) {
            books.keys.insert(key, answer.clone());
        }
        if trouble == Some(Trouble::LostAnswer) {
            return problem(500, "api_error", "internal", &[]);
        }
        match answered {
            Ok(answer) => Json(answer).into_response(),
            Err(response) => *response,
        }
    }
}

fn problem(status: u16, kind: &str, code: &str, more: &[(&str, &str)]) -> Response {
    let mut error = json!({ "type": kind, "code": code, "message": "no" });
    for (name, value) in more {
        error[*name] = (*value).into();
    }
    (StatusCode::from_u16(status).unwrap(), Json(json!({ "error": error }))).into_response()
}

fn form(body: &Bytes) -> Form {
    form_urlencoded::parse(body).into_owned().collect()
}

async fn create(State(server): State<StripeServer>, headers: HeaderMap, body: Bytes) -> Response {
    let form = form(&body);
    server.answer(&headers, |books| {
        let id = format!("pi_{}", kit::ids::uuid_v7().simple());
        let amount: i64 = form["amount"].parse().unwrap();
        assert_eq!((form["capture_method"].as_str(), form["payment_method_types[]"].as_str()), ("manual", "card"));
        let metadata: BTreeMap<_, _> = ["reference", "payment_id", "order_id", "saga_id"]
            .map(|name| (name, form[&format!("metadata[{name}]")].clone()))
            .into();
        let intent = json!({
            "id": id, "object": "payment_intent", "status": "requires_payment_method", "amount": amount,
            "currency": form["currency"], "amount_received": 0, "created": 1_800_000_000_i64,
            "payment_method": null, "last_payment_error": null, "next_action": null, "latest_charge": null,
            "metadata": metadata,
        });
        books.intents.insert(id, intent.clone());
        Ok(intent)
    })
}

async fn retrieve(State(server): State<StripeServer>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    server.answer(&headers, |books| {
        let missing = || Box::new(problem(404, "invalid_request_error", "resource_missing", &[("param", "intent")]));
        books.intents.get(&id).cloned().ok_or_else(missing)
    })
}

async fn search(State(server): State<StripeServer>, Query(query): Query<Form>, headers: HeaderMap) -> Response {
    server.answer(&headers, |books| {
        let found: Vec<_> = books
            .intents
            .values()
            .filter(|intent| {
                let reference = intent["metadata"]["reference"].as_str().unwrap();
                query["query"] == format!("metadata[\"reference\"]:\"{reference}\"")
            })
            .cloned()
            .collect();
        Ok(json!({ "object": "search_result", "data": found }))
    })
}

async fn change(
    State(server): State<StripeServer>,
    Path((id, verb)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = form(&body);
    server.answer(&headers, |books| {
        let unexpected = || Box::new(problem(400, "invalid_request_error", "payment_intent_unexpected_state", &[]));
        let intent = books.intents.get_mut(&id).expect("an intent of this id");
        let status = intent["status"].as_str().unwrap().to_owned();
        match (verb.as_str(), status.as_str()) {
            ("confirm", "requires_payment_method") => confirm(intent, &form)?,
            ("capture", "requires_capture") => {
                let taken = form["amount_to_capture"].parse::<i64>().unwrap();
                let received = intent["amount_received"].as_i64().unwrap() + taken;
                if received > intent["amount"].as_i64().unwrap() {
                    return Err(Box::new(problem(400, "invalid_request_error", "amount_too_large", &[])));
                }
                intent["amount_received"] = received.into();
                if form.get("final_capture").is_none_or(|last| last == "true") {
                    intent["status"] = "succeeded".into();
                }
            }
            ("cancel", "requires_capture") if intent["amount_received"] != 0 => return Err(unexpected()),
            ("cancel", "requires_payment_method" | "requires_action" | "requires_capture") => {
                intent["status"] = "canceled".into();
            }
            _ => return Err(unexpected()),
        }
        Ok(intent.clone())
    })
}

fn confirm(intent: &mut Value, form: &Form) -> Result<(), Box<Response>> {
    let token = form.get("payment_method_data[card][token]").or_else(|| form.get("payment_method")).unwrap().clone();
    let declined = |intent: &mut Value, decline: &str| {
        let error = json!({ "type": "card_error", "code": "card_declined", "decline_code": decline });
        intent["last_payment_error"] = error;
        Err(Box::new(problem(402, "card_error", "card_declined", &[("decline_code", decline)])))
    };
    intent["payment_method"] = token.as_str().into();
    match token.as_str() {
        "tok_declined" => return declined(intent, "generic_decline"),
        "tok_insufficient" => return declined(intent, "insufficient_funds"),
        "tok_3ds" => {
            intent["status"] = "requires_action".into();
            let url = format!("https://issuer.example/{}", intent["id"].as_str().unwrap());
            intent["next_action"] = json!({ "type": "redirect_to_url", "redirect_to_url": { "url": url } });
        }
        "tok_ok" => intent["status"] = "requires_capture".into(),
        _ => {
            let param = [("param", "payment_method_data[card][token]")];
            return Err(Box::new(problem(400, "invalid_request_error", "resource_missing", &param)));
        }
    }
    let card = json!({ "capture_before": 1_900_000_000_i64 });
    intent["latest_charge"] = json!({ "amount_refunded": 0, "payment_method_details": { "card": card } });
    Ok(())
}

async fn refunds(State(server): State<StripeServer>, Query(query): Query<Form>, headers: HeaderMap) -> Response {
    server.answer(&headers, |books| {
        let of_intent = books.refunds.iter().filter(|refund| refund["payment_intent"] == query["payment_intent"]);
        Ok(json!({ "object": "list", "data": of_intent.collect::<Vec<_>>() }))
    })
}

async fn refund(State(server): State<StripeServer>, headers: HeaderMap, body: Bytes) -> Response {
    let form = form(&body);
    server.answer(&headers, |books| {
        let amount: i64 = form["amount"].parse().unwrap();
        let intent = books.intents.get_mut(&form["payment_intent"]).expect("an intent of this id");
        let refunded = intent["latest_charge"]["amount_refunded"].as_i64().unwrap() + amount;
        if refunded > intent["amount_received"].as_i64().unwrap() {
            return Err(Box::new(problem(400, "invalid_request_error", "charge_already_refunded", &[])));
        }
        intent["latest_charge"]["amount_refunded"] = refunded.into();
        let refund = json!({
            "id": "re_1", "status": "succeeded", "amount": amount, "payment_intent": form["payment_intent"],
            "metadata": { "key": form["metadata[key]"] },
        });
        books.refunds.push(refund.clone());
        Ok(refund)
    })
}
