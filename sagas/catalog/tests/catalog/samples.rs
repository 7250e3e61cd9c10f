//! Inputs for each saga, and a reply for each command.

use machine::Definition;
use serde_json::{Value, json};

/// Every input that takes another way through the definition.
pub(crate) fn inputs(definition: &Definition) -> Vec<(&'static str, Value)> {
    match definition.name() {
        "order" => vec![
            ("flights and rooms", order(&[FLIGHT, STAY])),
            ("flights only", order(&[FLIGHT, FLIGHT])),
            ("rooms only", order(&[STAY])),
        ],
        other => panic!("`{other}` has no sample inputs: add them here, one for each way through it"),
    }
}

pub(crate) const FLIGHT: &str = "fof_01900000000070008000000000000004";
pub(crate) const STAY: &str = "sof_01900000000070008000000000000005";

pub(crate) fn order(offers: &[&str]) -> Value {
    let item = |offer: &&str| json!({"offer_id": offer, "description": "an offer", "total": {"amount": "100.00", "currency": "EUR"}});
    let traveller = |given: &str| json!({"given_name": given, "family_name": "Okafor", "born_on": "1984-02-29", "email": "zoe@example.com"});
    json!({
        "order_id": "ord_01900000000070008000000000000002",
        "user_id": "usr_01900000000070008000000000000003",
        "items": offers.iter().map(item).collect::<Vec<_>>(),
        "travellers": [traveller("Zoe"), traveller("Chidi")],
        "total": {"amount": format!("{}.00", 100 * offers.len()), "currency": "EUR"},
        "payment_token": "tok_ok",
    })
}

/// A reply of the right type for each command's name.
pub(crate) fn reply(command: &str) -> Value {
    match command {
        "flights.hold_seats" | "accommodation.hold_rooms" => json!({"expires_at": "2027-01-15T08:20:00Z"}),
        "flights.confirm_seats" => json!({"booking_reference": "X7PQ2M", "tickets": ["125-1"]}),
        "accommodation.confirm_rooms" => json!({"confirmation": "VX-42"}),
        "payment.authorize" => json!({
            "payment_id": "pay_01900000000070008000000000000006",
            "provider_reference": "pi_1",
            "capture_before": "2027-01-22T08:00:00Z",
        }),
        "payment.capture" => json!({"payment_id": "pay_01900000000070008000000000000006"}),
        _ => json!({}),
    }
}
