//! The news of a payment that its provider sends by itself, in the shape that Stripe gives them; the sandbox sends the same.
//! A webhook is a hint and no fact: it wakes the saga, which asks the provider how the payment stands.
//!
//! ```text
//!  POST <webhook address>     stripe-signature: t=<unix seconds>,v1=<hex of HMAC-SHA256 over "<t>.<body>">
//!  {"id": "evt_...", "type": "...", "data": {"object": {"id": "pi_...", "metadata": {"saga_id": ..., "payment_id": ...}}}}
//! ```
//!
//! `kit::signed_webhook` makes and checks the signature.

use serde::{Deserialize, Serialize};

use crate::ids::{PaymentId, SagaId};

/// The header with the signature.
pub const WEBHOOK_SIGNATURE_HEADER: &str = "stripe-signature";

/// The signal that a webhook becomes.
pub const SIGNAL_PAYMENT_ACTION: &str = "payment-action";

/// The payload of that signal. Its id is the provider's event id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentAction {
    /// The provider's id of the event.
    pub event_id: String,
    /// The payment that the event is about.
    pub payment_id: PaymentId,
}

/// The body of a webhook, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentWebhook {
    /// The event's id: the same when it is sent again.
    pub id: String,
    /// The provider's word for what happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// The thing that it happened to.
    pub data: WebhookData,
}

/// The frame around a webhook's object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookData {
    /// The thing itself.
    pub object: WebhookObject,
}

/// The thing that a webhook is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookObject {
    /// The provider's id of it.
    pub id: String,
    /// The words of ours that the provider keeps with it.
    #[serde(default)]
    pub metadata: WebhookMetadata,
}

/// The words of ours that a provider keeps with a payment. An event about something else has none of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookMetadata {
    /// The saga that authorizes the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga_id: Option<SagaId>,
    /// The payment that the event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
}

impl PaymentWebhook {
    /// The saga to be woken and what it is told; none when the event is about no payment of ours.
    #[must_use]
    pub fn signal(&self) -> Option<(SagaId, PaymentAction)> {
        let WebhookMetadata { saga_id, payment_id } = self.data.object.metadata;
        Some((saga_id?, PaymentAction { event_id: self.id.clone(), payment_id: payment_id? }))
    }
}
