//! `POST /v1/flight-holds`: starts the saga `flight_hold`, which holds the seats of one offer for its client to confirm.

use axum::routing::on;
use contract::{
    FlightHoldId, FlightOfferId, OfferId, SagaId, UserId,
    flights::{FLIGHT_HOLD, HoldFlight},
    order::Traveller,
    problem::FieldError,
};
use kit::http::ApiError;
use serde::Serialize;

use super::{accepted_offers::AcceptedOffers, order_request::travellers};
use crate::{
    access::{Access, Caller},
    app::App,
    client_saga::{self, ClientSaga, NoTarget},
    endpoint::{Endpoint, Limit, START_BYTES_MAX, Verb},
    fields::Object,
    hop::Hop,
    upstream::Part,
};

pub(crate) const HOLD: Endpoint = Endpoint {
    verb: Verb::Post,
    path: "/v1/flight-holds",
    access: Access::Client,
    limit: Limit::Write,
    body_bytes_max: START_BYTES_MAX,
    part: Part::Orchestrator,
    about: "holds the seats of one offer, to be confirmed later; needs an Idempotency-Key",
    handler: |methods| on(methods, client_saga::start::<HoldRequest>),
};

/// A hold of one flight.
pub(crate) struct HoldRequest {
    offer: [OfferId; 1],
    travellers: Vec<Traveller>,
}

/// The answer to everything that is done with a hold: the hold, and its operation.
#[derive(Debug, Serialize)]
pub(crate) struct Accepted {
    pub(crate) hold_id: FlightHoldId,
    pub(crate) operation_id: SagaId,
}

impl ClientSaga for HoldRequest {
    const NAME: &'static str = FLIGHT_HOLD;
    const VERSION: u32 = 1;
    type Target = NoTarget;
    type Snapshot = AcceptedOffers;
    type Input = HoldFlight;
    type Accepted = Accepted;

    fn read(body: &Object<'_>, app: &App, _: NoTarget) -> Option<Self> {
        let offer = body.text::<FlightOfferId>("offer_id");
        let travellers = travellers(body, app.clock.now().date_naive());
        Some(Self { offer: [OfferId::Flight(offer?)], travellers })
    }

    fn invalid(errors: Vec<FieldError>) -> ApiError {
        ApiError::unprocessable("flight_hold_invalid", "the hold is not valid; see `errors`", errors)
    }

    async fn snapshot(&self, app: &App, hop: &Hop, _: Caller) -> Result<AcceptedOffers, ApiError> {
        AcceptedOffers::ask(app, hop, &self.offer, |_| "#/offer_id".to_owned()).await
    }

    fn input(self, accepted: AcceptedOffers, owner: UserId) -> Result<(String, HoldFlight), ApiError> {
        let AcceptedOffers { items, departs_on } = accepted;
        let item = items.into_iter().next().ok_or_else(ApiError::internal)?;
        let hold_id = kit::ids::flight_hold_id();
        let (order_id, payment_id) = (kit::ids::order_id(), kit::ids::payment_id());
        let input =
            HoldFlight { hold_id, order_id, payment_id, user_id: owner, item, travellers: self.travellers, departs_on };
        Ok((hold_id.to_string(), input))
    }

    fn accepted(operation_id: SagaId, hold_id: &str) -> Result<(String, Accepted), ApiError> {
        let hold_id: FlightHoldId = hold_id.parse().map_err(|error| {
            tracing::error!(%operation_id, %error, "the saga of a hold is not named by it");
            ApiError::internal()
        })?;
        Ok((format!("/v1/flight-holds/{hold_id}"), Accepted { hold_id, operation_id }))
    }
}
