//! The commands of the `order` saga: their payloads, their domains and their order.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    command::Outcome,
    order::{ConfirmOrder, NOT_COMPLETED, RejectOrder},
    saga::SagaStatus,
    step::Op,
};
use machine::{
    Definition, StartError,
    testing::{Ended, Fate, Script, Simulation},
};
use serde_json::{Value, json};

use crate::samples::{inputs, ways};

const FLIGHT: &str = "fof_01900000000070008000000000000004.hdgfgbgmgfge";
const STAY: &str = "sof_01900000000070008000000000000005.hdgfgbgmgfge";

fn definition() -> Definition {
    catalog::order::v1::definition().unwrap()
}

/// The reply to a command.
fn reply(name: &str) -> Value {
    ways(&definition())[0].reply(name)
}

/// An order of these offers.
fn order(offers: &[&str]) -> Value {
    let item = |offer: &&str| json!({"offer_id": offer, "description": "an offer", "total": {"amount": "100.00", "currency": "EUR"}});
    let mut order = inputs(&definition())["rooms only"].clone();
    order["items"] = offers.iter().map(item).collect();
    order["total"]["amount"] = format!("{}.00", 100 * offers.len()).into();
    order
}

fn run(offers: &[&str], script: Script) -> Ended {
    Simulation::new(&definition(), order(offers), &reply).script(script).run().unwrap()
}

fn sent(ended: &Ended) -> Vec<&'static str> {
    ended.sent.iter().map(|command| command.name).collect()
}

fn refusing(step: &str) -> Script {
    Script::clean().with(&step.parse().unwrap(), Op::Action, &[Fate::Refuse])
}

/// The payload of the one command of that name.
fn payload(ended: &Ended, name: &str) -> Value {
    let command = ended.sent.iter().find(|command| command.name == name).unwrap();
    serde_json::from_str(command.payload.get()).unwrap()
}

#[test]
fn a_journey_of_flights_and_rooms_confirms_the_flights_first() {
    let ended = run(&[FLIGHT, STAY], Script::clean());
    assert_eq!(
        sent(&ended),
        [
            "order.create",
            "flights.hold_seats",
            "accommodation.hold_rooms",
            "payment.authorize",
            "flights.confirm_seats",
            "accommodation.confirm_rooms",
            "payment.capture",
            "order.confirm",
            "feed.notify_user",
        ]
    );
    assert_eq!(ended.state.status, SagaStatus::Completed);
    let confirm: ConfirmOrder = serde_json::from_value(payload(&ended, "order.confirm")).unwrap();
    assert_eq!(confirm.flight_reference.as_deref(), Some("X7PQ2M"));
    assert_eq!(confirm.stay_reference.as_deref(), Some("VX-42"));
    assert_eq!(payload(&ended, "payment.capture")["amount"], json!({"amount": "200.00", "currency": "EUR"}));
    assert_eq!(payload(&ended, "accommodation.confirm_rooms")["guest_name"], "Zoe Okafor");
}

#[test]
fn each_domain_gets_only_its_own_offers() {
    let ended = run(&[FLIGHT, STAY, FLIGHT], Script::clean());
    let offers = |name: &str| {
        let payload = payload(&ended, name);
        payload["offers"].as_array().unwrap().iter().map(|offer| offer["offer_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(offers("flights.hold_seats"), [FLIGHT, FLIGHT]);
    assert_eq!(offers("accommodation.hold_rooms"), [STAY]);
}

#[test]
fn without_flights_booking_the_rooms_is_the_pivot() {
    let ended = run(&[STAY], Script::clean());
    let expected = [
        "order.create",
        "accommodation.hold_rooms",
        "payment.authorize",
        "accommodation.confirm_rooms",
        "payment.capture",
        "order.confirm",
        "feed.notify_user",
    ];
    assert_eq!(sent(&ended), expected);
    assert_eq!(payload(&ended, "order.confirm").get("flight_reference"), None);
    let refused = run(&[STAY], refusing("book-rooms"));
    assert_eq!(refused.state.status, SagaStatus::Compensated);
}

#[test]
fn without_rooms_nothing_goes_to_accommodation() {
    let ended = run(&[FLIGHT], Script::clean());
    assert!(sent(&ended).iter().all(|name| !name.starts_with("accommodation.")));
    assert_eq!(ended.state.status, SagaStatus::Completed);
}

#[test]
fn a_declined_card_releases_what_is_held_and_rejects_the_order_with_the_reason() {
    let ended = run(&[FLIGHT, STAY], refusing("authorize-payment"));
    let undone: Vec<_> = sent(&ended).into_iter().skip(4).collect();
    assert_eq!(undone, ["flights.release_seats", "accommodation.release_rooms", "order.reject"]);
    let reject: RejectOrder = serde_json::from_value(payload(&ended, "order.reject")).unwrap();
    assert_eq!((reject.reason_code.as_str(), reject.reason.as_str()), ("no", "the business says no"));
    assert_eq!(ended.state.status, SagaStatus::Compensated);
}

#[test]
fn an_order_that_its_domain_refuses_ends_before_anything_is_held_or_paid() {
    let ended = run(&[FLIGHT, STAY], refusing("create-order"));
    assert_eq!(sent(&ended), ["order.create"]);
    assert_eq!(ended.state.status, SagaStatus::Compensated);
    assert_eq!(ended.state.error_fingerprint().as_deref(), Some("create-order/no"));
}

#[test]
fn what_failed_within_is_not_told_to_the_client() {
    let lost = Script::clean().with(&"authorize-payment".parse().unwrap(), Op::Action, &[Fate::LoseReply]);
    let reject: RejectOrder = serde_json::from_value(payload(&run(&[FLIGHT], lost), "order.reject")).unwrap();
    assert_eq!((reject.reason_code.as_str(), reject.reason.as_str()), ("reply_missing", NOT_COMPLETED));
}

#[test]
fn an_authorization_whose_answer_never_comes_is_voided() {
    let lost = Script::clean().with(&"authorize-payment".parse().unwrap(), Op::Action, &[Fate::LoseReply]);
    let ended = run(&[FLIGHT, STAY], lost);
    assert!(sent(&ended).contains(&"payment.void"));
    assert_eq!(ended.state.status, SagaStatus::Compensated);
    // All attempts fit in before the deadline, so that the cause names what was wrong.
    assert_eq!(ended.state.error_fingerprint().as_deref(), Some("authorize-payment/reply_missing"));
}

#[test]
fn a_room_that_is_refused_after_the_tickets_is_for_a_person_and_nothing_is_undone() {
    let ended = run(&[FLIGHT, STAY], refusing("confirm-rooms"));
    assert_eq!(ended.state.status, SagaStatus::NeedsAttention);
    assert_eq!(ended.state.error_fingerprint().as_deref(), Some("confirm-rooms/no"));
    assert!(sent(&ended).iter().all(|name| !name.contains("release") && !name.contains("void")));
}

#[test]
fn a_room_that_is_confirmed_only_after_twenty_faults_completes_the_order() {
    let mut fates = vec![Fate::Fault; 20];
    fates.push(Fate::Do);
    let ended = run(&[FLIGHT, STAY], Script::clean().with(&"confirm-rooms".parse().unwrap(), Op::Action, &fates));
    assert_eq!(ended.state.status, SagaStatus::Completed);
    assert_eq!(sent(&ended).iter().filter(|name| **name == "accommodation.confirm_rooms").count(), 21);
}

#[test]
fn an_outage_of_a_minute_is_survived_before_the_pivot() {
    // Every attempt faults at once for a minute: the waits alone must carry the saga over it.
    for saga in 0..300_u128 {
        let mut waited = TimeDelta::zero();
        let mut outage = Outage::begin(saga);
        while waited < TimeDelta::seconds(60) {
            match outage.fault() {
                Some(wait) => waited += wait,
                None => panic!("saga {saga} gave up after {waited}"),
            }
        }
    }
}

/// A saga whose first step meets nothing but faults.
struct Outage {
    definition: Definition,
    state: machine::State,
    now: DateTime<Utc>,
}

impl Outage {
    fn begin(saga: u128) -> Self {
        let definition = definition();
        let hex = format!("saga_{:032x}", saga.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let saga_id = hex.parse().unwrap();
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let state = machine::start(&definition, saga_id, None, order(&[FLIGHT]).into(), now).unwrap().state;
        Self { definition, state, now }
    }

    /// One fault, and the wait after it; `None` when the saga gives up.
    fn fault(&mut self) -> Option<TimeDelta> {
        let step: contract::StepName = "create-order".parse().unwrap();
        let progress = self.state.progress(&step, Op::Action).unwrap();
        let (generation, attempt) = (progress.generation, progress.attempt);
        let command_id = contract::CommandId { saga: self.state.saga_id, step, op: Op::Action, generation };
        let outcome = Outcome::faulted("dependency_failed", "the database is away");
        self.hear(&machine::Input::Replied { command_id, attempt, outcome });
        if self.state.cause.is_some() {
            return None;
        }
        let wake = machine::next_wake(&self.definition, &self.state, self.now).unwrap();
        let wait = wake - self.now;
        self.now = wake;
        self.hear(&machine::Input::TimePassed);
        Some(wait)
    }

    fn hear(&mut self, input: &machine::Input) {
        self.state = machine::decide(&self.definition, self.state.clone(), input, self.now).state;
    }
}

#[test]
fn an_order_of_nothing_cannot_start() {
    let refused = Simulation::new(&definition(), order(&[]), &reply).run().unwrap_err();
    assert!(matches!(&refused, StartError::NoPivotBefore { step } if step.as_str() == "capture-payment"), "{refused}");
}

#[test]
fn a_wrong_input_is_told_where() {
    let mut input = order(&[FLIGHT]);
    input["items"][0]["total"]["amount"] = json!("1.234");
    let refused = Simulation::new(&definition(), input, &reply).run().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the input is not what `order` version 1 takes: 1.234 has more decimals than EUR knows (2) at /items/0/total"
    );
}
