//! `POST /v1/bookings`: starts the saga `booking`, which places an order of one stay.

use axum::routing::on;
use contract::{SagaId, UserId, order::v2::PlaceOrder, problem::FieldError};
use kit::http::ApiError;

use super::{
    accepted_offers::AcceptedOffers,
    order_request::{self, OrderRequest},
};
use crate::{
    access::{Access, Caller},
    app::App,
    client_saga::{self, ClientSaga, NoTarget},
    endpoint::{Endpoint, Limit, START_BYTES_MAX, Verb},
    fields::Object,
    hop::Hop,
    upstream::Part,
    views::Accepted,
};

pub(crate) const BOOK: Endpoint = Endpoint {
    verb: Verb::Post,
    path: "/v1/bookings",
    access: Access::Client,
    limit: Limit::Write,
    body_bytes_max: START_BYTES_MAX,
    part: Part::Orchestrator,
    about: "books one stay, as an order; needs an Idempotency-Key",
    handler: |methods| on(methods, client_saga::start::<BookingRequest>),
};

/// An order of one stay.
pub(crate) struct BookingRequest(OrderRequest);

impl ClientSaga for BookingRequest {
    const NAME: &'static str = "booking";
    const VERSION: u32 = 1;
    type Target = NoTarget;
    type Snapshot = AcceptedOffers;
    type Input = PlaceOrder;
    type Accepted = Accepted;

    fn read(body: &Object<'_>, app: &App, _: NoTarget) -> Option<Self> {
        order_request::read_booking(body, app.clock.now().date_naive()).map(Self)
    }

    fn invalid(errors: Vec<FieldError>) -> ApiError {
        OrderRequest::invalid(errors)
    }

    async fn snapshot(&self, app: &App, hop: &Hop, _: Caller) -> Result<AcceptedOffers, ApiError> {
        AcceptedOffers::ask(app, hop, &self.0.offers, |_| "#/offer_id".to_owned()).await
    }

    fn input(self, accepted: AcceptedOffers, owner: UserId) -> Result<(String, PlaceOrder), ApiError> {
        self.0.input(accepted, owner)
    }

    fn accepted(operation_id: SagaId, order_id: &str) -> Result<(String, Accepted), ApiError> {
        OrderRequest::accepted(operation_id, order_id)
    }
}
