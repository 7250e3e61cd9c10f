//! Events tell other domains that something has happened. They are CloudEvents 1.0 in structured JSON mode; a subscriber
//! takes each once, by (source, id).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    command::Route,
    ids::MessageId,
    traceparent::{Traceparent, if_valid},
};

/// A fact that a domain announces. Implemented by every event type of the domains' modules.
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name on the wire and the topic, `domain.past_participle`; never derived from the Rust name.
    const NAME: &'static str;
    /// Raised when the payload changes in a way that old readers would misread.
    const VERSION: u16;
    /// The domain that announces it.
    const ROUTE: Route;
    /// The domains that subscribe to it. An event without a subscriber is not stored, and not published.
    const SUBSCRIBERS: &'static [Route];

    /// The thing that it is about, such as an order's id.
    fn subject(&self) -> String;
}

/// The `content-type` of a structured CloudEvent.
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=UTF-8";

/// A CloudEvent 1.0 with Sojourn's extensions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloudEvent {
    /// The version of CloudEvents: "1.0".
    pub specversion: String,
    /// The event's own id, unique within the source.
    pub id: MessageId,
    /// The domain that announces it, such as `/sojourn/order`.
    pub source: String,
    /// [`Event::NAME`], such as `order.confirmed`; also the routing key.
    #[serde(rename = "type")]
    pub kind: String,
    /// [`Event::VERSION`].
    pub dataversion: u16,
    /// [`Event::subject`].
    pub subject: String,
    /// The time of the commit that made it true.
    pub time: DateTime<Utc>,
    /// The media type of the data: `application/json`.
    pub datacontenttype: String,
    /// The whole flow that it belongs to: the saga's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlationid: Option<String>,
    /// The message that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causationid: Option<String>,
    /// The trace that it belongs to.
    #[serde(default, deserialize_with = "if_valid", skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Traceparent>,
    /// The [`Event`] itself.
    pub data: serde_json::Value,
}
