//! The same few people, journeys and moments in all examples.

use chrono::{DateTime, NaiveDate, Utc};
use contract::{
    CommandId, FlightHoldId, FlightOfferId, MessageId, Money, OfferId, Op, OrderId, PaymentId, SagaId, StayOfferId,
    StepName, Traceparent, UserId,
    order::{OrderItem, Traveller},
    payment::PaymentToken,
};
use uuid::Uuid;

fn uuid(last: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + last)
}

pub(crate) fn saga() -> SagaId {
    SagaId::from_uuid(uuid(1))
}

pub(crate) fn order() -> OrderId {
    OrderId::from_uuid(uuid(2))
}

pub(crate) fn user() -> UserId {
    UserId::from_uuid(uuid(3))
}

pub(crate) fn flight() -> FlightOfferId {
    FlightOfferId::new(uuid(4), b"sealed")
}

pub(crate) fn stay() -> StayOfferId {
    StayOfferId::new(uuid(5), b"sealed")
}

pub(crate) fn flight_hold() -> FlightHoldId {
    FlightHoldId::from_uuid(uuid(8))
}

pub(crate) fn payment() -> PaymentId {
    PaymentId::from_uuid(uuid(6))
}

pub(crate) fn message() -> MessageId {
    MessageId::from_uuid(uuid(7))
}

pub(crate) fn at(minute: u32) -> DateTime<Utc> {
    date(2026, 12, 1).and_hms_milli_opt(9, minute, 30, 250).unwrap().and_utc()
}

pub(crate) fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

pub(crate) fn money(amount: &str, currency: &str) -> Money {
    Money::from_parts(amount.parse().unwrap(), currency).unwrap()
}

pub(crate) fn token() -> PaymentToken {
    PaymentToken::new("tok_ok").unwrap()
}

pub(crate) fn step(name: &str) -> StepName {
    StepName::new(name).unwrap()
}

pub(crate) fn attributes() -> contract::Attributes {
    "departs_on:2026-12-24".parse().unwrap()
}

pub(crate) fn work(op: Op) -> CommandId {
    CommandId { saga: saga(), step: step("hold-rooms"), op, generation: 1 }
}

pub(crate) fn travellers() -> Vec<Traveller> {
    vec![Traveller {
        given_name: "Zo\u{eb}".parse().unwrap(),
        family_name: "Okafor".parse().unwrap(),
        born_on: "1984-02-29".parse().unwrap(),
        email: "zoe@example.com".parse().unwrap(),
    }]
}

pub(crate) fn items() -> Vec<OrderItem> {
    vec![
        OrderItem {
            offer_id: OfferId::Flight(flight()),
            description: "LHR to MLE, 2026-12-01, business, 1 seat".into(),
            total: money("3210.00", "EUR"),
        },
        OrderItem {
            offer_id: OfferId::Stay(stay()),
            description: "Reef villa, 7 nights".into(),
            total: money("8999.99", "EUR"),
        },
    ]
}

pub(crate) fn traceparent() -> Option<Traceparent> {
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok()
}
