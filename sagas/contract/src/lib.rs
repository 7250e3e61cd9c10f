//! The wire: everything that two parts of Sojourn say to each other, and nothing else.
//!
//! A type in here is a promise. What has once been sent may still lie in a queue, a journal or another
//! program's memory, so each message has a golden JSON file (`tests/golden/`) and changes only by a new version.
//! The crate is pure: no clock, no randomness, no I/O.

#![warn(missing_docs)]

pub mod attributes;
pub mod birth_date;
pub mod ids;
pub mod limits;
pub mod money;
pub mod offer;
pub mod saga;
pub mod signal;
pub mod step;
pub mod traceparent;

pub mod card_number;
pub mod email_address;
pub mod evidence;
pub mod page;
pub mod person_name;
pub mod text;

pub mod command;
pub mod document;
pub mod envelope;
pub mod event;
pub mod roll_call;

pub mod accommodation;
pub mod feed;
pub mod flights;
pub mod order;
pub mod payment;
pub mod personal;
pub mod user;

pub mod orchestrator_api;
pub mod problem;

pub use attributes::Attributes;
pub use command::{Command, Fault, Outcome, Refusal, Route};
pub use document::Document;
pub use email_address::EmailAddress;
pub use event::Event;
pub use evidence::Evidence;
pub use ids::{
    ApprovalId, FlightHoldId, InstanceId, JobId, LoginId, MessageId, OrderId, PaymentId, RequestId, SagaId, UserId,
};
pub use money::Money;
pub use offer::{FlightOfferId, OfferId, StayOfferId};
pub use page::{Page, PageToken};
pub use person_name::PersonName;
pub use signal::{SignalId, SignalName};
pub use step::{CommandId, Op, StepName};
pub use traceparent::Traceparent;
