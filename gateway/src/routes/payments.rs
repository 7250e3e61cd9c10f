//! `GET /v1/payments/{payment_id}`: the payment domain's view, and, while it has none, the saga's.

use axum::{extract::State, http::StatusCode, routing::on};
use contract::{
    Money, OrderId, PaymentId, Route,
    order::{PayOrder, Reason},
    payment::{NextAction, PaymentStatus, PaymentView},
    saga::SagaStatus,
};
use kit::http::{ApiError, Json, Path};
use serde::Serialize;

use super::pay_order::PaymentRequest;
use crate::{
    access::{Access, Caller},
    app::App,
    client_saga::ClientSaga as _,
    endpoint::{Endpoint, Limit, NO_BODY_BYTES_MAX, Verb},
    hop::Hop,
    saga_reads,
    upstream::{Call, Part, UpstreamError},
    views,
};

pub(crate) const SHOW: Endpoint = Endpoint {
    verb: Verb::Get,
    path: "/v1/payments/{payment_id}",
    access: Access::Client,
    limit: Limit::Read,
    body_bytes_max: NO_BODY_BYTES_MAX,
    part: Part::Domain(Route::Payment),
    about: "shows one of one's own payments, and the client's next act",
    handler: |methods| on(methods, show),
};

/// A payment as its client sees it.
#[derive(Debug, Serialize)]
struct Payment {
    payment_id: PaymentId,
    order_id: OrderId,
    status: ClientPaymentStatus,
    amount: Money,
    /// The part of it that was given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    refunded: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<NextAction>,
    /// The code of what it failed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_code: Option<String>,
}

/// Where a payment stands: fewer words than the payment domain has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum ClientPaymentStatus {
    Pending,
    RequiresAction,
    Captured,
    Failed,
    Canceled,
}

impl From<PaymentStatus> for ClientPaymentStatus {
    fn from(status: PaymentStatus) -> Self {
        match status {
            // What is reserved is not taken yet.
            PaymentStatus::Pending | PaymentStatus::Authorized => Self::Pending,
            PaymentStatus::RequiresAction => Self::RequiresAction,
            PaymentStatus::Captured => Self::Captured,
            PaymentStatus::Voided | PaymentStatus::Refunded => Self::Canceled,
            PaymentStatus::Failed => Self::Failed,
        }
    }
}

async fn show(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Path(payment_id): Path<PaymentId>,
) -> Result<Json<Payment>, ApiError> {
    let call = Call::get(format!("/internal/payment/payments/{payment_id}"));
    let response = app.domain(Route::Payment).call(&hop, call).await?;
    let payment = match response.status {
        StatusCode::OK => {
            let view: PaymentView = response.json()?;
            // A foreign payment is answered as one that does not exist.
            (view.user_id == Some(caller.user_id)).then(|| from_view(view))
        }
        StatusCode::NOT_FOUND => from_saga(&app, &hop, caller, payment_id).await?,
        _ => return Err(response.unexpected().into()),
    };
    let unknown = || ApiError::not_found("payment_unknown", format!("there is no payment {payment_id}"));
    payment.map(Json).ok_or_else(unknown)
}

fn from_view(view: PaymentView) -> Payment {
    let PaymentView { payment_id, order_id, user_id: _, status, amount, refunded, next_action, failure_code } = view;
    Payment { payment_id, order_id, status: status.into(), amount, refunded, next_action, failure_code }
}

/// The payment as its saga knows it: it exists from the 202 on, which is before the provider is asked.
async fn from_saga(
    app: &App,
    hop: &Hop,
    caller: Caller,
    payment_id: PaymentId,
) -> Result<Option<Payment>, UpstreamError> {
    let found = saga_reads::find(app, hop, PaymentRequest::NAME, &payment_id.to_string()).await?;
    let Some(saga) = found else { return Ok(None) };
    let PayOrder { payment_id, order_id, amount, .. } = saga_reads::input(app, &saga)?;
    let status = match saga.summary.status {
        SagaStatus::Running | SagaStatus::NeedsAttention | SagaStatus::Compensating => ClientPaymentStatus::Pending,
        SagaStatus::Completed => ClientPaymentStatus::Captured,
        SagaStatus::Compensated | SagaStatus::Abandoned => ClientPaymentStatus::Failed,
    };
    let failed = status == ClientPaymentStatus::Failed;
    let failure_code = saga.cause.as_ref().filter(|_| failed).map(|cause| Reason::of(cause).code);
    let payment = Payment { payment_id, order_id, status, amount, refunded: None, next_action: None, failure_code };
    Ok(views::is_owned_by(&saga, caller.user_id).then_some(payment))
}
