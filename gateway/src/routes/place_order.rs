//! `POST /v1/orders`: reads and checks the order, takes the price snapshot, starts the saga, answers at once.
//!
//! ```text
//!  key, body, card numbers, shape ---- 400, 413, 415, 422
//!   claim the key in this process ---- 409
//!    the same start before?  and, side by side,  the offers' prices
//!      yes, same request  ------------ the first answer again, whatever has become of the offers
//!      yes, another request ---------- 422
//!      no ------ offers good? -------- 422, 503
//!                 start the saga ----- 202
//! ```

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use contract::{
    Money, OfferId, OrderId, SagaId,
    accommodation::StayOffer,
    flights::{FlightOffer, REFUSED_TRAVELLERS_MISMATCH},
    orchestrator_api::{SagaStarted, StartKey, StartSaga},
    order::{OrderItem, OrderStatus, PlaceOrder, TotalError, total_of},
    problem::FieldError,
};
use futures::future::{join, join_all};
use kit::http::{ApiError, Json};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    auth::Caller,
    card,
    door::Door,
    guard::Hop,
    idempotency::{ScopedKey, fingerprint},
    order_request::{self, OrderRequest},
    public::Accepted,
    upstream::{Call, Repeat, UpstreamError},
};

/// The saga's definition.
const SAGA: &str = "order";

/// When to look at the order for the first time, in seconds.
const RETRY_AFTER: &str = "1";

/// `GET /api/starts`: the start that was made under a key.
#[derive(Debug, Deserialize)]
struct EarlierStart {
    saga_id: SagaId,
    business_key: String,
    fingerprint: String,
}

/// Serves the route.
pub(crate) async fn handle(
    State(door): State<Door>,
    caller: Caller,
    hop: Hop,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let key = ScopedKey::read(&headers, caller.user_id)?;
    let body = read_json(&headers, &body)?;
    let order = check(&door, &body)?;
    let _claim = door.in_flight.claim(&key)?;
    let start_key = StartKey { key: key.as_str().to_owned(), fingerprint: fingerprint(&body) };
    let (earlier, items) = join(earlier_start(&door, &hop, &key), price(&door, &hop, &order)).await;
    if let Some(earlier) = earlier? {
        if earlier.fingerprint != start_key.fingerprint {
            return Err(key_reused());
        }
        return accepted(earlier.saga_id, &earlier.business_key);
    }
    let started = start(&door, &hop, caller, order, items?, start_key).await?;
    accepted(started.saga_id, &started.business_key)
}

fn read_json(headers: &HeaderMap, body: &[u8]) -> Result<Value, ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let title = "The body must be application/json";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", title));
    }
    // Line and column only: what stands there could be a secret.
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        ApiError::bad_request("json_malformed", format!("the body is not JSON: line {line}, column {column}"))
    })
}

fn check(door: &Door, body: &Value) -> Result<OrderRequest, ApiError> {
    if let Some(pointer) = card::find(body) {
        let detail =
            "this looks like a card number; a card is traded for a token at the payment provider and never sent here";
        let place = FieldError { detail: "looks like a card number".to_owned(), pointer };
        return Err(ApiError::unprocessable("card_number_refused", detail, vec![place]));
    }
    order_request::read(body, door.clock.now().date_naive())
        .map_err(|errors| ApiError::unprocessable("order_invalid", "the order is not valid; see `errors`", errors))
}

async fn earlier_start(door: &Door, hop: &Hop, key: &ScopedKey) -> Result<Option<EarlierStart>, ApiError> {
    // The key has nothing that an address would have to escape but its colon, which a query may hold.
    let path = format!("/api/starts?name={SAGA}&key={}", key.as_str());
    let answer = door.orchestrator.call(hop, Call::get(path)).await?;
    match answer.status {
        StatusCode::OK => Ok(Some(answer.json()?)),
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(answer.unexpected().into()),
    }
}

/// What became of one offer.
enum Priced {
    Item(OrderItem),
    Unknown,
    Expired,
    /// A flight for another number of people than travel: it would be refused when the seats get their names.
    OtherPassengers(u32),
}

/// The price snapshot, in the order of the request.
async fn price(door: &Door, hop: &Hop, order: &OrderRequest) -> Result<Vec<OrderItem>, ApiError> {
    let travellers = order.travellers.len();
    let asked = join_all(order.offers.iter().map(|offer| price_one(door, hop, *offer, travellers))).await;
    let (mut items, mut unknown, mut expired) = (Vec::new(), Vec::new(), Vec::new());
    let (mut mismatched, mut failed) = (Vec::new(), None);
    for (index, priced) in asked.into_iter().enumerate() {
        let place =
            |detail: &str| FieldError { detail: detail.to_owned(), pointer: format!("#/items/{index}/offer_id") };
        match priced {
            Ok(Priced::Item(item)) => items.push(item),
            Ok(Priced::Unknown) => unknown.push(place("is no offer of ours")),
            Ok(Priced::Expired) => expired.push(place("has expired; search again")),
            Ok(Priced::OtherPassengers(passengers)) => {
                mismatched.push(place(&format!("is for {passengers} passengers, and {travellers} travel")));
            }
            Err(error) => failed = Some(error),
        }
    }
    if !unknown.is_empty() {
        Err(ApiError::unprocessable("offer_unknown", "the order holds an offer that does not exist", unknown))
    } else if !expired.is_empty() {
        Err(ApiError::unprocessable("offer_expired", "the order holds an offer whose time is over", expired))
    } else if !mismatched.is_empty() {
        let detail = "the order holds a flight for another number of people than travel";
        Err(ApiError::unprocessable(REFUSED_TRAVELLERS_MISMATCH, detail, mismatched))
    } else if let Some(error) = failed {
        Err(error.into())
    } else {
        Ok(items)
    }
}

async fn price_one(door: &Door, hop: &Hop, offer: OfferId, travellers: usize) -> Result<Priced, UpstreamError> {
    let (domain, path) = match offer {
        OfferId::Flight(id) => (&door.flights, format!("/internal/flights/offers/{id}")),
        OfferId::Stay(id) => (&door.accommodation, format!("/internal/accommodation/offers/{id}")),
    };
    let answer = domain.call(hop, Call::get(path)).await?;
    match answer.status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(Priced::Unknown),
        StatusCode::GONE => return Ok(Priced::Expired),
        _ => return Err(answer.unexpected()),
    }
    let (total, description, expires_at) = match offer {
        OfferId::Flight(_) => {
            let offer: FlightOffer = answer.json()?;
            if usize::try_from(offer.passengers) != Ok(travellers) {
                return Ok(Priced::OtherPassengers(offer.passengers));
            }
            (offer.total, describe_flight(&offer), offer.expires_at)
        }
        OfferId::Stay(_) => {
            let offer: StayOffer = answer.json()?;
            (offer.total, describe_stay(&offer), offer.expires_at)
        }
    };
    if expires_at <= door.clock.now() {
        return Ok(Priced::Expired);
    }
    Ok(Priced::Item(OrderItem { offer_id: offer, description, total }))
}

fn describe_flight(offer: &FlightOffer) -> String {
    let date = offer.departs_local.split('T').next().unwrap_or_default();
    let seats = if offer.passengers == 1 { "seat" } else { "seats" };
    let cabin = offer.cabin.as_str().replace('_', " ");
    format!("{} {} to {}, {date}, {cabin}, {} {seats}", offer.flight_number, offer.from, offer.to, offer.passengers)
}

fn describe_stay(offer: &StayOffer) -> String {
    let guests = if offer.guests == 1 { "guest" } else { "guests" };
    let (from, to) = (offer.check_in, offer.check_out);
    format!("{}, {}, {from} to {to}, {} {guests}", offer.property, offer.room_type, offer.guests)
}

fn sum(items: &[OrderItem]) -> Result<Money, ApiError> {
    total_of(items).map_err(|error| {
        let place = |index| FieldError { detail: error.to_string(), pointer: format!("#/items/{index}/offer_id") };
        let places = match &error {
            TotalError::CurrenciesMixed { index, .. } => vec![place(*index)],
            TotalError::NoItems | TotalError::TooLarge(_) => Vec::new(),
        };
        ApiError::unprocessable(error.code(), error.to_string(), places)
    })
}

async fn start(
    door: &Door,
    hop: &Hop,
    caller: Caller,
    order: OrderRequest,
    items: Vec<OrderItem>,
    key: StartKey,
) -> Result<SagaStarted, ApiError> {
    let order_id = kit::ids::order_id();
    let total = sum(&items)?;
    let OrderRequest { travellers, payment_token, .. } = order;
    let input = PlaceOrder { order_id, user_id: caller.user_id, items, travellers, total, payment_token };
    let start = StartSaga {
        name: SAGA.to_owned(),
        version: None,
        idempotency: Some(key),
        business_key: order_id.to_string(),
        owner: Some(caller.user_id.to_string()),
        traceparent: hop.traceparent_text(),
        input: serde_json::to_value(&input).map_err(|error| {
            tracing::error!(%error, "an order could not be written as JSON");
            ApiError::internal()
        })?,
    };
    // Safe to repeat, at another orchestrator too: the key makes it one saga.
    let answer = door.orchestrator.call(hop, Call::post("/api/sagas", &start, Repeat::Safe)?).await?;
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => Ok(answer.json()?),
        // Somebody else's start under this key was quicker, at another gateway.
        StatusCode::UNPROCESSABLE_ENTITY if answer.code().as_deref() == Some("idempotency_key_reused") => {
            Err(key_reused())
        }
        status => {
            tracing::error!(%status, code = answer.code(), %order_id, "the orchestrator did not take an order");
            Err(answer.unexpected().into())
        }
    }
}

fn key_reused() -> ApiError {
    let detail = "this Idempotency-Key was used for another order; a new order needs a new key";
    ApiError::unprocessable("idempotency_key_reused", detail, Vec::new())
}

/// The same for the first answer and for each repetition: made of nothing but what the first start left.
fn accepted(operation_id: SagaId, order_id: &str) -> Result<Response, ApiError> {
    let order_id: OrderId = order_id.parse().map_err(|error| {
        tracing::error!(%operation_id, %error, "the saga of an order is not named by it");
        ApiError::internal()
    })?;
    let accepted = Accepted { order_id, operation_id, status: OrderStatus::Pending };
    let mut response = (StatusCode::ACCEPTED, Json(accepted)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    for (name, path) in [
        ("location", format!("/v1/orders/{order_id}")),
        ("operation-location", format!("/v1/operations/{operation_id}")),
    ] {
        if let Ok(value) = HeaderValue::from_str(&path) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}
