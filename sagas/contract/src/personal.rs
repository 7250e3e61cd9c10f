//! The personal fields and the payment tokens of all documents, and their masking for people who may not see them.
//!
//! Documents are masked by the names of their fields, whatever type they had and whoever passed them on; texts beside
//! those are masked word by word, where a word is an address or a token. A new field for a person's data gets a line
//! here, and the test over all golden files tells when it has none.

use serde_json::Value;

use crate::{email_address::EmailAddress, payment::PaymentToken};

/// The text in place of one that is masked.
pub const MASKED: &str = "(masked)";

/// The fields of which every text is masked, at any depth below them.
const FIELDS: [&str; 12] = [
    "born_on",
    "email",
    "family_name",
    "given_name",
    "guest_name",
    "password",
    "payment_token",
    "redirect_url",
    "refresh_token",
    "access_token",
    "token",
    "travellers",
];

/// The fields of a difference: where it is, and the values there.
const DIFFERENCE: (&str, [&str; 2]) = ("pointer", ["before", "after"]);

/// Masks a document in place: what is personal in it, and what money can be had with.
pub fn mask(document: &mut Value) {
    match document {
        Value::String(text) => mask_text(text),
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(fields) => {
            let (pointer, values) = DIFFERENCE;
            let within = fields.get(pointer).and_then(Value::as_str).is_some_and(leads_into_a_field);
            for (name, value) in fields {
                if FIELDS.contains(&name.as_str()) || (within && values.contains(&name.as_str())) {
                    mask_all(value);
                } else {
                    mask(value);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Masks every text. Numbers stay: none of them is personal, and a count of travellers has the name of their list.
fn mask_all(value: &mut Value) {
    match value {
        Value::String(text) => MASKED.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(mask_all),
        Value::Object(fields) => fields.values_mut().for_each(mask_all),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text that is a document itself, as the body of a dead letter is, is masked as one, or wholly when it does not read.
fn mask_text(text: &mut String) {
    if text.trim_start().starts_with('{') {
        *text = match serde_json::from_str::<Value>(text) {
            Ok(mut document) => {
                mask(&mut document);
                document.to_string()
            }
            Err(_) => MASKED.to_owned(),
        };
        return;
    }
    let masked: Vec<&str> = text.split(' ').map(|word| if gives_away(word) { MASKED } else { word }).collect();
    *text = masked.join(" ");
}

fn gives_away(word: &str) -> bool {
    let bare = word.trim_matches(|character: char| !character.is_alphanumeric());
    EmailAddress::parse(bare).is_ok() || PaymentToken::new(bare).is_ok()
}

fn leads_into_a_field(pointer: &str) -> bool {
    pointer.split('/').any(|part| FIELDS.contains(&part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn masked(mut document: Value) -> Value {
        mask(&mut document);
        document
    }

    #[test]
    fn fields_are_masked_at_any_depth_and_the_rest_is_left_as_it_is() {
        let document = json!({
            "order_id": "ord_1", "total": {"amount": "3.00", "currency": "EUR"}, "name": "order",
            "travellers": [{"given_name": "Ada", "born_on": "1984-02-29", "frequent_flyer": {"number": "X1"}}],
            "entries": [{"reply": {"payment_token": "tok_1", "expires_at": "2026-12-01T09:20:30Z"}}],
        });
        let expected = json!({
            "order_id": "ord_1", "total": {"amount": "3.00", "currency": "EUR"}, "name": "order",
            "travellers": [{"given_name": MASKED, "born_on": MASKED, "frequent_flyer": {"number": MASKED}}],
            "entries": [{"reply": {"payment_token": MASKED, "expires_at": "2026-12-01T09:20:30Z"}}],
        });
        assert_eq!(masked(document), expected);
        assert_eq!(masked(json!({"travellers": 2, "token": null})), json!({"travellers": 2, "token": null}));
    }

    #[test]
    fn a_difference_is_masked_by_the_place_that_it_is_of() {
        let of = |pointer: &str| masked(json!({"pointer": pointer, "before": "Ada", "after": {"x": "Eve"}}));
        assert_eq!(
            of("/travellers/0/nick"),
            json!({"pointer": "/travellers/0/nick", "before": MASKED, "after": {"x": MASKED}})
        );
        assert_eq!(of("/note")["before"], "Ada");
    }

    #[test]
    fn texts_are_masked_word_by_word_and_documents_in_them_as_documents() {
        assert_eq!(masked(json!("mailed zoe@example.com, paid with tok_ok.")), "mailed (masked) paid with (masked)");
        assert_eq!(masked(json!("at 12 o'clock @ noon: saga_1")), "at 12 o'clock @ noon: saga_1");
        assert_eq!(
            masked(json!({"body": r#"{"payload":{"email":"a@b.example"}}"#}))["body"],
            r#"{"payload":{"email":"(masked)"}}"#
        );
        assert_eq!(masked(json!(r#"{"email":"a@b.exa"#)), MASKED);
    }
}
