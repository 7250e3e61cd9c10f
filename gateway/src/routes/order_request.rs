//! An order as clients send it. What is not asked for (a total, a status, a user) is not looked at: it can do no harm
//! and no good.

use chrono::NaiveDate;
use contract::{
    OfferId, StayOfferId,
    birth_date::BirthDate,
    limits::{ORDER_ITEMS_MAX, TRAVELLERS_MAX},
    order::{PaymentPlan, Traveller},
    payment::PaymentToken,
};

use crate::fields::Object;

/// An order: the offers, the travellers and the payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderRequest {
    /// Each once, in the client's order.
    pub(crate) offers: Vec<OfferId>,
    pub(crate) travellers: Vec<Traveller>,
    pub(crate) payment: Payment,
}

/// The payment of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) token: PaymentToken,
    pub(crate) plan: PaymentPlan,
}

/// Reads an order.
pub(crate) fn read(body: &Object<'_>, today: NaiveDate) -> Option<OrderRequest> {
    let (offers, travellers) = (offers(body), travellers(body, today));
    Some(OrderRequest { offers, travellers, payment: payment(body)? })
}

/// Reads an order of one stay.
pub(crate) fn read_booking(body: &Object<'_>, today: NaiveDate) -> Option<OrderRequest> {
    let offer = body.text::<StayOfferId>("offer_id");
    let (travellers, payment) = (travellers(body, today), payment(body));
    Some(OrderRequest { offers: vec![OfferId::Stay(offer?)], travellers, payment: payment? })
}

fn payment(body: &Object<'_>) -> Option<Payment> {
    let payment = body.object("payment")?;
    let (token, plan) = (payment.text("token"), payment.word("plan", &PaymentPlan::ALL, PaymentPlan::as_str));
    Some(Payment { token: token?, plan: plan.unwrap_or_default() })
}

pub(crate) fn travellers(body: &Object<'_>, today: NaiveDate) -> Vec<Traveller> {
    body.list("travellers", TRAVELLERS_MAX).iter().filter_map(|person| traveller(person, today)).collect()
}

fn offers(body: &Object<'_>) -> Vec<OfferId> {
    let mut offers = Vec::new();
    for item in body.list("items", ORDER_ITEMS_MAX) {
        match item.text::<OfferId>("offer_id") {
            Some(offer) if offers.contains(&offer) => item.wrong("offer_id", "is in the order already"),
            Some(offer) => offers.push(offer),
            None => {}
        }
    }
    offers
}

fn traveller(person: &Object<'_>, today: NaiveDate) -> Option<Traveller> {
    let (given_name, family_name) = (person.text("given_name"), person.text("family_name"));
    let born_on = person
        .text::<BirthDate>("born_on")
        .and_then(|born_on| born_on.not_after(today).map_err(|error| person.wrong("born_on", error.to_string())).ok());
    let email = person.text("email");
    Some(Traveller { given_name: given_name?, family_name: family_name?, born_on: born_on?, email: email? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::fields;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 12, 1).unwrap()
    }

    fn good() -> Value {
        json!({
            "items": [{"offer_id": "fof_0192f0c1a2b37c4d8e5f000000000001.abcd"}, {"offer_id": "sof_0192f0c1a2b37c4d8e5f000000000002.abcd", "total": "1"}],
            "travellers": [{"given_name": " Ada ", "family_name": "Lovelace", "born_on": "1990-12-10", "email": "ada@example.org"}],
            "payment": {"token": "tok_ok"},
            "total": {"amount": "0.01", "currency": "EUR"},
        })
    }

    fn read_order(body: &Value) -> Result<OrderRequest, fields::Mistakes> {
        fields::read(body, |body| read(body, today()))
    }

    #[test]
    fn an_order_is_paid_at_once_unless_it_says_otherwise() {
        let plan = |plan: Option<Value>| {
            let mut body = good();
            if let Some(plan) = plan {
                body["payment"]["plan"] = plan;
            }
            read_order(&body).map(|order| order.payment.plan).map_err(|_| mistakes(&body))
        };
        assert_eq!(plan(None).unwrap(), PaymentPlan::Full);
        assert_eq!(plan(Some(json!("full"))).unwrap(), PaymentPlan::Full);
        assert_eq!(plan(Some(json!("deposit"))).unwrap(), PaymentPlan::Deposit);
        for wrong in [json!("later"), json!(30), json!(null)] {
            assert_eq!(plan(Some(wrong)).unwrap_err(), ["#/payment/plan is not one of full, deposit"]);
        }
    }

    #[test]
    fn a_booking_has_one_offer_of_a_stay() {
        let mut body = good();
        body["offer_id"] = json!("sof_0192f0c1a2b37c4d8e5f000000000002.abcd");
        let read = |body: &Value| fields::read(body, |body| read_booking(body, today()));
        let booking = read(&body).unwrap();
        assert!(matches!(booking.offers[..], [OfferId::Stay(_)]), "{booking:?}");
        body["offer_id"] = json!("fof_0192f0c1a2b37c4d8e5f000000000001.abcd");
        assert_eq!(read(&body).unwrap_err().fields[0].pointer, "#/offer_id");
    }

    fn mistakes(body: &Value) -> Vec<String> {
        let errors = read_order(body).unwrap_err().fields;
        errors.into_iter().map(|error| format!("{} {}", error.pointer, error.detail)).collect()
    }

    #[test]
    fn a_good_order_is_read_and_what_was_not_asked_for_is_ignored() {
        let order = read_order(&good()).unwrap();
        assert_eq!((order.offers.len(), order.travellers[0].given_name.as_str()), (2, "Ada"));
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_places() {
        let body = json!({
            "items": [{"offer_id": "nonsense"}, {}, {"offer_id": 7}, {"offer_id": "fof_0192f0c1a2b37c4d8e5f000000000001.abcd"}, {"offer_id": "fof_0192f0c1a2b37c4d8e5f000000000001.abcd"}],
            "travellers": [{"given_name": "", "family_name": "x\u{0}", "born_on": "2026-12-02", "email": "ada"}, "Ada"],
            "payment": {"token": "secret"},
        });
        insta::assert_snapshot!(mistakes(&body).join("\n"));
    }

    #[test]
    fn shapes_and_sizes_are_checked() {
        assert_eq!(mistakes(&json!([])), ["#/ must be an object"]);
        assert_eq!(mistakes(&json!({})), ["#/items is missing", "#/travellers is missing", "#/payment is missing"]);
        let mut many = good();
        many["items"] = json!(vec![json!({"offer_id": "fof_0192f0c1a2b37c4d8e5f000000000001.abcd"}); 13]);
        many["travellers"] = json!([]);
        assert_eq!(
            mistakes(&many),
            ["#/items must have 1 to 12 members, not 13", "#/travellers must have 1 to 9 members, not 0"]
        );
    }

    #[test]
    fn a_card_number_is_looked_for_in_all_text_that_is_stored_and_in_no_other() {
        for place in [
            "/payment/token",
            "/travellers/0/given_name",
            "/travellers/0/family_name",
            "/travellers/0/born_on",
            "/travellers/0/email",
            "/items/0/offer_id",
        ] {
            let mut body = good();
            *body.pointer_mut(place).unwrap() = json!("2026-11 4242 4242 4242 4242 123");
            assert_eq!(read_order(&body).unwrap_err().card_numbers, [format!("#{place}")]);
        }
        let mut body = good();
        body["sent_at"] = json!(1_795_699_635_680_u64);
        body["notes"] = json!("4242 4242 4242 4242");
        assert!(read_order(&body).is_ok());
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(text in "\\PC{0,40}", number: i64) {
            for place in ["/items/0/offer_id", "/travellers/0/born_on", "/travellers/0/email", "/payment/token", "/items", "/payment"] {
                for value in [json!(text), json!(number), json!(null), json!([text]), json!({"offer_id": text})] {
                    let mut body = good();
                    *body.pointer_mut(place).unwrap() = value;
                    let _ = read_order(&body);
                }
            }
        }
    }
}
