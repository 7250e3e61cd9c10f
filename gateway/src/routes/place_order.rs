//! `POST /v1/orders`: starts the saga `order` at the prices that the offers have now.

use axum::routing::on;
use contract::{
    Money, OrderId, SagaId, UserId,
    order::{OrderItem, OrderStatus, TotalError, total_of, v2::PlaceOrder},
    problem::FieldError,
};
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

pub(crate) const PLACE: Endpoint = Endpoint {
    verb: Verb::Post,
    path: "/v1/orders",
    access: Access::Client,
    limit: Limit::Write,
    body_bytes_max: START_BYTES_MAX,
    part: Part::Orchestrator,
    about: "places an order, paid at once or with a deposit first; needs an Idempotency-Key",
    handler: |methods| on(methods, client_saga::start::<OrderRequest>),
};

impl ClientSaga for OrderRequest {
    const NAME: &'static str = "order";
    const VERSION: u32 = 2;
    type Target = NoTarget;
    type Snapshot = AcceptedOffers;
    type Input = PlaceOrder;
    type Accepted = Accepted;

    fn read(body: &Object<'_>, app: &App, _: NoTarget) -> Option<Self> {
        order_request::read(body, app.clock.now().date_naive())
    }

    fn invalid(errors: Vec<FieldError>) -> ApiError {
        ApiError::unprocessable("order_invalid", "the order is not valid; see `errors`", errors)
    }

    async fn snapshot(&self, app: &App, hop: &Hop, _: Caller) -> Result<AcceptedOffers, ApiError> {
        AcceptedOffers::ask(app, hop, &self.offers, offer_at).await
    }

    fn input(self, accepted: AcceptedOffers, owner: UserId) -> Result<(String, PlaceOrder), ApiError> {
        let order_id = kit::ids::order_id();
        let AcceptedOffers { items, departs_on } = accepted;
        let total = total(&items)?;
        let input = PlaceOrder {
            order_id,
            user_id: owner,
            items,
            travellers: self.travellers,
            total,
            departs_on,
            payment_plan: self.payment.plan,
            payment_id: kit::ids::payment_id(),
            payment_token: self.payment.token,
        };
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

fn offer_at(index: usize) -> String {
    format!("#/items/{index}/offer_id")
}

fn total(items: &[OrderItem]) -> Result<Money, ApiError> {
    total_of(items).map_err(|error| {
        let places = match &error {
            TotalError::CurrenciesMixed { index, .. } => {
                vec![FieldError { detail: error.to_string(), pointer: offer_at(*index) }]
            }
            TotalError::NoItems | TotalError::TooLarge(_) => Vec::new(),
        };
        ApiError::unprocessable(error.code(), error.to_string(), places)
    })
}
