//! `POST /v1/orders`: starts the saga `order` at the prices that the offers have now.

use axum::{http::StatusCode, routing::on};
use contract::{
    Money, OfferId, OrderId, Route, SagaId, UserId,
    accommodation::StayOffer,
    flights::FlightOffer,
    order::{OrderItem, OrderStatus, PlaceOrder, TotalError, total_of},
    problem::FieldError,
};
use futures::future::join_all;
use kit::http::ApiError;

use super::order_request::{self, OrderRequest};
use crate::{
    access::Access,
    app::App,
    client_saga::{self, ClientSaga},
    endpoint::{Endpoint, Limit, START_BYTES_MAX, Verb},
    fields::Object,
    hop::Hop,
    upstream::{Call, Part, UpstreamError},
    views::Accepted,
};

pub(crate) const PLACE: Endpoint = Endpoint {
    verb: Verb::Post,
    path: "/v1/orders",
    access: Access::Client,
    limit: Limit::Write,
    body_bytes_max: START_BYTES_MAX,
    part: Part::Orchestrator,
    about: "places an order; needs an Idempotency-Key",
    handler: |methods| on(methods, client_saga::start::<OrderRequest>),
};

impl ClientSaga for OrderRequest {
    const NAME: &'static str = "order";
    type Snapshot = Vec<OrderItem>;
    type Input = PlaceOrder;
    type Accepted = Accepted;

    fn read(body: &Object<'_>, app: &App) -> Option<Self> {
        order_request::read(body, app.clock.now().date_naive())
    }

    fn invalid(errors: Vec<FieldError>) -> ApiError {
        ApiError::unprocessable("order_invalid", "the order is not valid; see `errors`", errors)
    }

    async fn snapshot(&self, app: &App, hop: &Hop) -> Result<Vec<OrderItem>, ApiError> {
        let asked = join_all(self.offers.iter().map(|offer| price(app, hop, offer))).await;
        let (mut items, mut failed) = (Vec::new(), None);
        let (mut unknown, mut altered, mut expired) = (Vec::new(), Vec::new(), Vec::new());
        for (index, priced) in asked.into_iter().enumerate() {
            match priced {
                Ok(Priced::Item(item)) => items.push(item),
                Ok(Priced::Unknown) => unknown.push(place(index, "is no offer of ours")),
                Ok(Priced::Altered) => altered.push(place(index, "is not as the search gave it out")),
                Ok(Priced::Expired) => expired.push(place(index, "has expired; search again")),
                Err(error) => failed = Some(error),
            }
        }
        if !unknown.is_empty() {
            Err(ApiError::unprocessable("offer_unknown", "the order holds an offer that does not exist", unknown))
        } else if !altered.is_empty() {
            Err(ApiError::unprocessable("offer_altered", "the order holds an offer that was changed", altered))
        } else if !expired.is_empty() {
            Err(ApiError::unprocessable("offer_expired", "the order holds an offer whose time is over", expired))
        } else if let Some(error) = failed {
            Err(error.into())
        } else {
            Ok(items)
        }
    }

    fn input(self, items: Vec<OrderItem>, owner: UserId) -> Result<(String, PlaceOrder), ApiError> {
        let order_id = kit::ids::order_id();
        let total = total(&items)?;
        let Self { travellers, payment_token, .. } = self;
        let input = PlaceOrder { order_id, user_id: owner, items, travellers, total, payment_token };
        Ok((order_id.to_string(), input))
    }

    fn accepted(operation_id: SagaId, order_id: &str) -> Result<(String, Accepted), ApiError> {
        let order_id: OrderId = order_id.parse().map_err(|error| {
            tracing::error!(%operation_id, %error, "the saga of an order is not named by it");
            ApiError::internal()
        })?;
        let accepted = Accepted { order_id, operation_id, status: OrderStatus::Pending };
        Ok((format!("/v1/orders/{order_id}"), accepted))
    }
}

fn place(index: usize, detail: impl Into<String>) -> FieldError {
    FieldError { detail: detail.into(), pointer: format!("#/items/{index}/offer_id") }
}

/// One offer, as its domain has it now.
enum Priced {
    Item(OrderItem),
    Unknown,
    Altered,
    Expired,
}

/// Asks the offer's domain for its price.
async fn price(app: &App, hop: &Hop, offer: &OfferId) -> Result<Priced, UpstreamError> {
    let domain = match offer {
        OfferId::Flight(_) => Route::Flights,
        OfferId::Stay(_) => Route::Accommodation,
    };
    // In the query, which no log shows. The letters of an offer need no escape there.
    let path = format!("/internal/{}/offer?offer_id={}", domain.as_str(), offer.as_str());
    let response = app.domain(domain).call(hop, Call::get(path)).await?;
    match response.status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(Priced::Unknown),
        StatusCode::UNPROCESSABLE_ENTITY => return Ok(Priced::Altered),
        StatusCode::GONE => return Ok(Priced::Expired),
        _ => return Err(response.unexpected()),
    }
    let (total, description) = match offer {
        OfferId::Flight(_) => {
            let offer: FlightOffer = response.json()?;
            (offer.total, describe_flight(&offer))
        }
        OfferId::Stay(_) => {
            let offer: StayOffer = response.json()?;
            (offer.total, describe_stay(&offer))
        }
    };
    Ok(Priced::Item(OrderItem { offer_id: offer.clone(), description, total }))
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

fn total(items: &[OrderItem]) -> Result<Money, ApiError> {
    total_of(items).map_err(|error| {
        let places = match &error {
            TotalError::CurrenciesMixed { index, .. } => vec![place(*index, error.to_string())],
            TotalError::NoItems | TotalError::TooLarge(_) => Vec::new(),
        };
        ApiError::unprocessable(error.code(), error.to_string(), places)
    })
}
