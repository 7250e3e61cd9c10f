//! The act of a client that an order waits for, as the payment domain knows it.

use axum::http::StatusCode;
use contract::{
    OrderId, Route,
    payment::{NextAction, PaymentView},
};

use crate::{
    app::App,
    hop::Hop,
    upstream::{Call, UpstreamError},
};

/// The client's next act for an order, when one of its payments requires one. An order is shown also while the payment
/// domain is away: then the client finds the act when it asks again.
pub(super) async fn next_action(app: &App, hop: &Hop, order_id: OrderId) -> Option<NextAction> {
    let call = Call::get(format!("/internal/payment/payments?order_id={order_id}"));
    let read = async || -> Result<Vec<PaymentView>, UpstreamError> {
        let response = app.domain(Route::Payment).call(hop, call).await?;
        if response.status == StatusCode::OK { response.json() } else { Err(response.unexpected()) }
    };
    match read().await {
        Ok(payments) => payments.into_iter().find_map(|payment| payment.next_action),
        Err(error) => {
            tracing::warn!(%error, %order_id, "an order is shown without its payments");
            None
        }
    }
}
