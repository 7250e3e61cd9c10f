//! Card numbers must never get in. A confused or careless client may send one all the same: it is refused before
//! anything else looks at the body, and not repeated anywhere.

use contract::OfferId;
use serde_json::Value;

/// The shortest card number, in digits.
const DIGITS_MIN: usize = 13;
/// The longest card number, in digits.
const DIGITS_MAX: usize = 19;

/// The place of the first text or number in `body` that holds what looks like a card number, as a JSON pointer in a
/// fragment.
pub(crate) fn find(body: &Value) -> Option<String> {
    search(body, "#")
}

fn search(value: &Value, pointer: &str) -> Option<String> {
    let here = |found: bool| found.then(|| if pointer == "#" { "#/".to_owned() } else { pointer.to_owned() });
    match value {
        Value::Null | Value::Bool(_) => None,
        Value::Number(number) => here(holds_card_number(&number.to_string())),
        // The hexadecimal digits of an id are all decimal now and then; an id is known by its whole shape.
        Value::String(text) => here(text.parse::<OfferId>().is_err() && holds_card_number(text)),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| search(item, &format!("{pointer}/{index}")))
        }
        // A key is not repeated either: the pointer stops at its object.
        Value::Object(fields) => fields.iter().find_map(|(key, field)| {
            if holds_card_number(key) { here(true) } else { search(field, &format!("{pointer}/{}", escaped(key))) }
        }),
    }
}

/// A key as a segment of a JSON pointer (RFC 6901).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// True when the text has 13 to 19 digits in a row, or set apart by single spaces or hyphens, that pass Luhn's check.
fn holds_card_number(text: &str) -> bool {
    let mut digits: Vec<u8> = Vec::new();
    let mut separated = false;
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => {
                digits.push(byte - b'0');
                separated = false;
            }
            b' ' | b'-' if !digits.is_empty() && !separated => separated = true,
            _ => {
                if is_card_number(&digits) {
                    return true;
                }
                digits.clear();
                separated = false;
            }
        }
    }
    is_card_number(&digits)
}

fn is_card_number(digits: &[u8]) -> bool {
    // All zeros pass the check and are nobody's card.
    (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) && digits.iter().any(|digit| *digit != 0) && passes_luhn(digits)
}

fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            match (place % 2, digit) {
                (0, digit) => digit,
                (_, digit) if digit > 4 => 2 * digit - 9,
                (_, digit) => 2 * digit,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn card_numbers_are_found_wherever_they_stand() {
        for (body, pointer) in [
            (json!({"payment": {"token": "4111111111111111"}}), "#/payment/token"),
            (json!({"payment": {"token": "tok_5555555555554444"}}), "#/payment/token"),
            (json!({"payment": {"card": 378_282_246_310_005_u64}}), "#/payment/card"),
            (json!({"travellers": [{"given_name": "4111 1111 1111 1111"}]}), "#/travellers/0/given_name"),
            (json!({"notes": "my card: 4111-1111-1111-1111, thanks"}), "#/notes"),
            (json!({"x": {"6011111111111117": true}}), "#/x"),
            (json!({"a/b": "3530111333300000"}), "#/a~1b"),
            (json!("4222222222222"), "#/"),
        ] {
            assert_eq!(find(&body).as_deref(), Some(pointer), "{body}");
        }
    }

    #[test]
    fn what_is_no_card_number_passes() {
        for body in [
            json!({"payment": {"token": "tok_ok"}}),
            json!({"phone": "+44 20 7946 0958", "born_on": "1980-01-31"}),
            json!({"wrong_check_digit": "4111111111111112"}),
            json!({"too_long": "41111111111111111111111"}),
            json!({"zeros": "0000000000000000"}),
            json!({"items": [{"offer_id": "fof_41111111111111110000000000000000"}]}),
            json!({"items": [{"offer_id": "sof_0000000000004111111111111111abcd"}]}),
        ] {
            assert_eq!(find(&body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn ids_are_never_taken_for_card_numbers(bits: u128) {
            let id = contract::FlightOfferId::from_uuid(uuid::Uuid::from_u128(bits));
            prop_assert_eq!(find(&json!({ "items": [{ "offer_id": id }] })), None);
        }

        #[test]
        fn any_text_can_be_looked_at(text: String) {
            find(&Value::String(text));
        }
    }
}
