//! `POST /v1/orders/{order_id}/payments`: starts the saga `payment`, which takes what is still due for the order.

use axum::routing::on;
use contract::{
    OrderId, PaymentId, SagaId, UserId,
    order::{PayOrder, REFUSED_NOT_PAYABLE},
    payment::PaymentToken,
    problem::FieldError,
};
use kit::http::ApiError;
use serde::Serialize;

use super::orders;
use crate::{
    access::{Access, Caller},
    app::App,
    client_saga::{self, ClientSaga},
    endpoint::{Endpoint, Limit, START_BYTES_MAX, Verb},
    fields::Object,
    hop::Hop,
    upstream::Part,
    views::Order,
};

pub(crate) const PAY: Endpoint = Endpoint {
    verb: Verb::Post,
    path: "/v1/orders/{order_id}/payments",
    access: Access::Client,
    limit: Limit::Write,
    body_bytes_max: START_BYTES_MAX,
    part: Part::Orchestrator,
    about: "pays the balance of an order; needs an Idempotency-Key",
    handler: |methods| on(methods, client_saga::start_for::<PaymentRequest>),
};

/// A payment of what is due for an order.
pub(crate) struct PaymentRequest {
    order_id: OrderId,
    token: PaymentToken,
}

/// The answer: the payment and its operation.
#[derive(Debug, Serialize)]
pub(crate) struct Accepted {
    payment_id: PaymentId,
    operation_id: SagaId,
}

impl ClientSaga for PaymentRequest {
    const NAME: &'static str = "payment";
    const VERSION: u32 = 1;
    type Target = OrderId;
    type Snapshot = Order;
    type Input = PayOrder;
    type Accepted = Accepted;

    fn read(body: &Object<'_>, _: &App, order_id: OrderId) -> Option<Self> {
        Some(Self { order_id, token: body.text("token")? })
    }

    fn invalid(errors: Vec<FieldError>) -> ApiError {
        ApiError::unprocessable("payment_invalid", "the payment is not valid; see `errors`", errors)
    }

    async fn snapshot(&self, app: &App, hop: &Hop, caller: Caller) -> Result<Order, ApiError> {
        orders::own_order(app, hop, caller, self.order_id).await
    }

    /// Whether the balance may be paid is for the order domain to say; where there is none there is nothing to ask.
    fn input(self, order: Order, owner: UserId) -> Result<(String, PayOrder), ApiError> {
        let Self { order_id, token } = self;
        let amount = order.balance_due();
        if amount.is_zero() {
            return Err(ApiError::conflict(REFUSED_NOT_PAYABLE, "nothing is due for this order"));
        }
        let payment_id = kit::ids::payment_id();
        Ok((payment_id.to_string(), PayOrder { payment_id, order_id, user_id: owner, amount, token }))
    }

    fn accepted(operation_id: SagaId, payment_id: &str) -> Result<(String, Accepted), ApiError> {
        let payment_id: PaymentId = payment_id.parse().map_err(|error| {
            tracing::error!(%operation_id, %error, "the saga of a payment is not named by it");
            ApiError::internal()
        })?;
        Ok((format!("/v1/payments/{payment_id}"), Accepted { payment_id, operation_id }))
    }
}
