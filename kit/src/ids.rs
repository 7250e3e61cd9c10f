//! The one place where new identifiers are made. All are UUIDv7: they sort by time, so indexes grow at one end.

use std::num::{NonZeroU64, NonZeroU128};

use contract::{
    ApprovalId, FlightHoldId, InstanceId, JobId, MessageId, OrderId, PaymentId, RequestId, SagaId, Traceparent, UserId,
};
use uuid::Uuid;

/// 48 bits of time, 74 random ones.
#[expect(clippy::disallowed_methods, reason = "the one legal call")]
#[must_use]
pub fn uuid_v7() -> Uuid {
    Uuid::now_v7()
}

/// 122 random bits, for what must not tell its time: trace ids, secrets' names.
#[expect(clippy::disallowed_methods, reason = "the one legal call")]
#[must_use]
pub fn uuid_random() -> Uuid {
    Uuid::new_v4()
}

/// For a message.
#[must_use]
pub fn message_id() -> MessageId {
    MessageId::from_uuid(uuid_v7())
}

/// For a request of an operator.
#[must_use]
pub fn request_id() -> RequestId {
    RequestId::from_uuid(uuid_v7())
}

/// For a request for a second operator's approval.
#[must_use]
pub fn approval_id() -> ApprovalId {
    ApprovalId::from_uuid(uuid_v7())
}

/// For a job over many sagas.
#[must_use]
pub fn job_id() -> JobId {
    JobId::from_uuid(uuid_v7())
}

/// For a program that starts.
#[must_use]
pub fn instance_id() -> InstanceId {
    InstanceId::from_uuid(uuid_v7())
}

/// For a saga that belongs to `shard` of `shards`.
#[must_use]
pub fn saga_id(shard: u16, shards: u16) -> SagaId {
    SagaId::from_uuid(uuid_v7()).placed_on(shard, shards)
}

/// For an order.
#[must_use]
pub fn order_id() -> OrderId {
    OrderId::from_uuid(uuid_v7())
}

/// For a person.
#[must_use]
pub fn user_id() -> UserId {
    UserId::from_uuid(uuid_v7())
}

/// For a payment.
#[must_use]
pub fn payment_id() -> PaymentId {
    PaymentId::from_uuid(uuid_v7())
}

/// For a hold of a flight.
#[must_use]
pub fn flight_hold_id() -> FlightHoldId {
    FlightHoldId::from_uuid(uuid_v7())
}

/// For a hop of a trace.
#[must_use]
pub fn span() -> NonZeroU64 {
    // Not zero, which the standard refuses: the variant's bits are among them.
    NonZeroU64::new(uuid_random().as_u64_pair().1).unwrap_or(NonZeroU64::MIN)
}

/// For a trace that begins here.
#[must_use]
pub fn traceparent() -> Traceparent {
    Traceparent::begin(NonZeroU128::new(uuid_random().as_u128()).unwrap_or(NonZeroU128::MIN), span())
}
