//! Events: what has happened, for whoever wants to know. CloudEvents 1.0 in structured JSON mode, deduplicated by
//! (source, id).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::MessageId;

/// The `content-type` of a structured CloudEvent.
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=UTF-8";

/// A CloudEvent 1.0 with Sojourn's extensions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloudEvent {
    /// Always "1.0".
    pub specversion: String,
    /// Unique within the source.
    pub id: MessageId,
    /// The domain, such as `/sojourn/order`.
    pub source: String,
    /// The event's name, such as `order.confirmed`; also the routing key.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about, such as an order's id.
    pub subject: String,
    /// When it was committed.
    pub time: DateTime<Utc>,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// The whole flow: the saga's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlationid: Option<String>,
    /// The message that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causationid: Option<String>,
    /// The starting trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What the event says.
    pub data: serde_json::Value,
}
