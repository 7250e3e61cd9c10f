//! An order as clients send it: read field by field, so that every mistake is told at once, with its place. What is
//! not asked for (a total, a status, a user) is not looked at: it can do no harm and no good.

use chrono::NaiveDate;
use contract::{
    OfferId,
    birth_date::{BirthDate, BirthDateError},
    email_address::EmailAddress,
    limits::{ORDER_ITEMS_MAX, TRAVELLERS_MAX},
    order::Traveller,
    payment::PaymentToken,
    person_name::PersonName,
    problem::FieldError,
};
use serde_json::{Map, Value};

/// What is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderRequest {
    /// Each once, in the client's order.
    pub(crate) offers: Vec<OfferId>,
    /// Who travels.
    pub(crate) travellers: Vec<Traveller>,
    /// How it is paid.
    pub(crate) payment_token: PaymentToken,
}

/// Reads an order, or says everything that is wrong with it.
pub(crate) fn read(body: &Value, today: NaiveDate) -> Result<OrderRequest, Vec<FieldError>> {
    let mut wrong = Wrong::default();
    let Some(body) = body.as_object() else {
        wrong.say("#/", "must be an object with `items`, `travellers` and `payment`");
        return Err(wrong.0);
    };
    let offers = offers(body, &mut wrong);
    let travellers = travellers(body, today, &mut wrong);
    let payment_token = payment_token(body, &mut wrong);
    match payment_token {
        Some(payment_token) if wrong.0.is_empty() => Ok(OrderRequest { offers, travellers, payment_token }),
        _ => Err(wrong.0),
    }
}

#[derive(Default)]
struct Wrong(Vec<FieldError>);

impl Wrong {
    fn say(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldError { detail: detail.into(), pointer: pointer.into() });
    }

    /// The list of that name, when it is one and has 1 to `max` members.
    fn list<'a>(&mut self, body: &'a Map<String, Value>, name: &str, max: usize) -> &'a [Value] {
        match body.get(name) {
            Some(Value::Array(items)) if (1..=max).contains(&items.len()) => items,
            Some(Value::Array(items)) => {
                self.say(format!("#/{name}"), format!("must have 1 to {max} members, not {}", items.len()));
                &[]
            }
            Some(_) => {
                self.say(format!("#/{name}"), "must be a list");
                &[]
            }
            None => {
                self.say(format!("#/{name}"), "is missing");
                &[]
            }
        }
    }

    /// The text of that name.
    fn text<'a>(&mut self, value: &'a Value, name: &str, pointer: &str) -> Option<&'a str> {
        match value.get(name) {
            Some(Value::String(text)) => return Some(text),
            Some(_) => self.say(pointer, "must be a text"),
            None => self.say(pointer, "is missing"),
        }
        None
    }
}

fn offers(body: &Map<String, Value>, wrong: &mut Wrong) -> Vec<OfferId> {
    let mut offers = Vec::new();
    for (index, item) in wrong.list(body, "items", ORDER_ITEMS_MAX).iter().enumerate() {
        let pointer = format!("#/items/{index}/offer_id");
        match wrong.text(item, "offer_id", &pointer).map(str::parse::<OfferId>) {
            Some(Ok(offer)) if offers.contains(&offer) => wrong.say(pointer, "is in the order already"),
            Some(Ok(offer)) => offers.push(offer),
            Some(Err(error)) => wrong.say(pointer, error.to_string()),
            None => {}
        }
    }
    offers
}

fn travellers(body: &Map<String, Value>, today: NaiveDate, wrong: &mut Wrong) -> Vec<Traveller> {
    let people = wrong.list(body, "travellers", TRAVELLERS_MAX);
    people.iter().enumerate().filter_map(|(index, person)| traveller(person, index, today, wrong)).collect()
}

fn traveller(person: &Value, index: usize, today: NaiveDate, wrong: &mut Wrong) -> Option<Traveller> {
    let at = |name: &str| format!("#/travellers/{index}/{name}");
    let mut name = |field: &str| -> Option<PersonName> {
        let name = wrong.text(person, field, &at(field))?.parse::<PersonName>();
        name.map_err(|error| wrong.say(at(field), error.to_string())).ok()
    };
    let (given_name, family_name) = (name("given_name"), name("family_name"));
    let born_on = wrong.text(person, "born_on", &at("born_on")).and_then(|text| match born_on(text, today) {
        Ok(date) => Some(date),
        Err(error) => {
            wrong.say(at("born_on"), error.to_string());
            None
        }
    });
    let email = wrong
        .text(person, "email", &at("email"))
        .and_then(|text| text.parse::<EmailAddress>().map_err(|error| wrong.say(at("email"), error.to_string())).ok());
    Some(Traveller { given_name: given_name?, family_name: family_name?, born_on: born_on?, email: email? })
}

fn born_on(text: &str, today: NaiveDate) -> Result<BirthDate, BirthDateError> {
    text.parse::<BirthDate>()?.not_after(today)
}

/// The token's text is not repeated by its own error, nor here.
fn payment_token(body: &Map<String, Value>, wrong: &mut Wrong) -> Option<PaymentToken> {
    let Some(payment) = body.get("payment") else {
        wrong.say("#/payment", "is missing");
        return None;
    };
    let text = wrong.text(payment, "token", "#/payment/token")?;
    match PaymentToken::new(text) {
        Ok(token) => Some(token),
        Err(error) => {
            wrong.say("#/payment/token", error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 12, 1).unwrap()
    }

    fn good() -> Value {
        json!({
            "items": [{"offer_id": "fof_0192f0c1a2b37c4d8e5f000000000001"}, {"offer_id": "sof_0192f0c1a2b37c4d8e5f000000000002", "total": "1"}],
            "travellers": [{"given_name": " Ada ", "family_name": "Lovelace", "born_on": "1990-12-10", "email": "ada@example.org"}],
            "payment": {"token": "tok_ok"},
            "total": {"amount": "0.01", "currency": "EUR"},
        })
    }

    fn mistakes(body: &Value) -> Vec<String> {
        let errors = read(body, today()).unwrap_err();
        errors.into_iter().map(|error| format!("{} {}", error.pointer, error.detail)).collect()
    }

    #[test]
    fn a_good_order_is_read_and_what_was_not_asked_for_is_ignored() {
        let order = read(&good(), today()).unwrap();
        assert_eq!((order.offers.len(), order.travellers[0].given_name.as_str()), (2, "Ada"));
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_places() {
        let body = json!({
            "items": [{"offer_id": "nonsense"}, {}, {"offer_id": 7}, {"offer_id": "fof_0192f0c1a2b37c4d8e5f000000000001"}, {"offer_id": "fof_0192f0c1a2b37c4d8e5f000000000001"}],
            "travellers": [{"given_name": "", "family_name": "x\u{0}", "born_on": "2026-12-02", "email": "ada"}, "Ada"],
            "payment": {"token": "secret"},
        });
        insta::assert_snapshot!(mistakes(&body).join("\n"));
    }

    #[test]
    fn shapes_and_sizes_are_checked() {
        assert_eq!(mistakes(&json!([])).len(), 1);
        assert_eq!(mistakes(&json!({})), ["#/items is missing", "#/travellers is missing", "#/payment is missing"]);
        let mut many = good();
        many["items"] = json!(vec![json!({"offer_id": "fof_0192f0c1a2b37c4d8e5f000000000001"}); 13]);
        many["travellers"] = json!([]);
        assert_eq!(
            mistakes(&many),
            ["#/items must have 1 to 12 members, not 13", "#/travellers must have 1 to 9 members, not 0"]
        );
    }

    #[test]
    fn dates_of_birth_are_real_and_past() {
        for good in ["1900-01-01", "2026-12-01", "2000-02-29"] {
            assert!(born_on(good, today()).is_ok(), "{good}");
        }
        for bad in ["", "2026-12-02", "1899-12-31", "2001-02-29", "01.02.1990", "1990-1-1", "+1990-1-01"] {
            assert!(born_on(bad, today()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(text in "\\PC{0,40}", number: i64) {
            for place in ["/items/0/offer_id", "/travellers/0/born_on", "/travellers/0/email", "/payment/token", "/items", "/payment"] {
                for value in [json!(text), json!(number), json!(null), json!([text]), json!({"offer_id": text})] {
                    let mut body = good();
                    *body.pointer_mut(place).unwrap() = value;
                    let _ = read(&body, today());
                }
            }
        }
    }
}
