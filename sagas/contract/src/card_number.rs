//! Payment card numbers in text, which are refused at every door before anything stores the text: the agency never
//! holds one (PCI DSS 3.2).
//!
//! A number is known by what issuers give out: a network's first digits, a length of that network, and a right check
//! digit (ISO/IEC 7812). Other numbers rarely pass all three, so timestamps, phone numbers and references may stand in a
//! text. The way in which a number is written does not hide it: digits count in every script, marks that cannot be seen
//! are left out, and the number is found within a longer row of digits and across what divides it.
//!
//! ```text
//!  "2026-11 4242.4242.4242.4242 123"  ->  runs 2026 | 11 | 4242 | 4242 | 4242 | 4242 | 123
//!                                                         '--------- Visa, 16 digits ---'
//! ```

mod issued;
mod runs;

use serde_json::Value;

use self::{
    issued::{DIGITS_MAX, DIGITS_MIN, is_card_number},
    runs::{Gap, Run, runs},
};

/// The shortest number, in digits, that may be a part of a longer row of digits. Shorter ones are so rare on cards, and
/// so easily a phone number, that they must stand alone.
const EMBEDDED_DIGITS_MIN: usize = 14;

/// The length of nearly all cards, in digits: looked for at both ends of a longer row, whatever is glued to it.
const USUAL_DIGITS: usize = 16;

/// The least that is glued to a number of another length, or to both sides of one, in digits: a card's code. An expiry is
/// longer.
const GLUED_DIGITS_MIN: usize = 3;

/// The groups in which numbers are printed that are not in groups of one size: American Express, Diners Club, and
/// Visa's numbers of 13 digits.
const PRINTED: [&[usize]; 3] = [&[4, 6, 5], &[4, 6, 4], &[4, 3, 3, 3]];

/// True when the text holds a card number.
#[must_use]
pub fn appears_in(text: &str) -> bool {
    if text.is_ascii() && text.bytes().filter(u8::is_ascii_digit).count() < DIGITS_MIN {
        return false;
    }
    let runs = runs(text);
    runs.iter().any(|run| stands_in_run(&run.digits)) || (0..runs.len()).any(|first| begins_with(&runs[first..]))
}

/// The place of the first text, number or key in `document` that holds a card number, as a JSON pointer in a fragment;
/// `pointer` is the document's own.
#[must_use]
pub fn place_in(document: &Value, pointer: &str) -> Option<String> {
    let here = |found: bool| found.then(|| pointer.to_owned());
    match document {
        Value::Null | Value::Bool(_) => None,
        Value::Number(number) => here(appears_in(&number.to_string())),
        Value::String(text) => here(appears_in(text)),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| place_in(item, &format!("{pointer}/{index}")))
        }
        // A key is not repeated either: the pointer stops at its object.
        Value::Object(fields) => fields.iter().find_map(|(key, field)| {
            if appears_in(key) { here(true) } else { place_in(field, &format!("{pointer}/{}", escaped(key))) }
        }),
    }
}

/// A key as a segment of a JSON pointer (RFC 6901).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A number that is the whole run, or has a code or an expiry glued to it.
fn stands_in_run(digits: &[u8]) -> bool {
    let glued = (EMBEDDED_DIGITS_MIN..=DIGITS_MAX).any(|length| {
        digits.windows(length).enumerate().any(|(before, window)| {
            let after = digits.len() - length - before;
            let bare_side = before == 0 || after == 0;
            let glued = before.max(after);
            let fits = if bare_side {
                length == USUAL_DIGITS || glued >= GLUED_DIGITS_MIN
            } else {
                before.min(after) >= GLUED_DIGITS_MIN
            };
            fits && is_card_number(window)
        })
    });
    glued || is_card_number(digits)
}

/// A number that begins with the first run, or ends with a later one, and goes over more than one.
fn begins_with(runs: &[Run]) -> bool {
    let (mut digits, mut sizes, mut single) = (Vec::new(), Vec::new(), true);
    for (index, run) in runs.iter().enumerate() {
        match run.gap {
            // What stands before the first one does not matter.
            _ if index == 0 => {}
            Gap::Single => {}
            Gap::Near => single = false,
            Gap::Far => return false,
        }
        let before = digits.len();
        if before >= DIGITS_MAX {
            return false;
        }
        digits.extend_from_slice(&run.digits);
        sizes.push(run.digits.len());
        if index == 0 {
            continue;
        }
        let from_first = (before + 1..=digits.len().min(DIGITS_MAX)).any(|length| {
            let taken = [&sizes[..index], &[length - before]].concat();
            let shaped = (single && length >= EMBEDDED_DIGITS_MIN) || is_printed(&taken);
            shaped && is_card_number(&digits[..length])
        });
        // Within the first run, so that what comes before the number may be glued to it.
        let to_last =
            single && (1..sizes[0]).any(|at| digits.len() - at >= EMBEDDED_DIGITS_MIN && is_card_number(&digits[at..]));
        if from_first || to_last {
            return true;
        }
    }
    false
}

/// Groups of one size, the last of which may be smaller when there are more than two, or groups that some cards have.
fn is_printed(sizes: &[usize]) -> bool {
    let even = match sizes {
        [first, last] => first == last,
        [first, others @ .., last] => others.iter().all(|size| size == first) && last <= first,
        [] | [_] => false,
    };
    even || PRINTED.contains(&sizes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{
        issued::{NETWORKS, passes_luhn},
        *,
    };
    use crate::ids::{OrderId, SagaId};

    /// One number of each network and length, as test cards have them.
    const CARDS: [&str; 20] = [
        "4111111111111111",
        "4242424242424242",
        "4222222222222",
        "4000000000000000006",
        "5555555555554444",
        "5105105105105100",
        "2223003122003222",
        "2720990000000007",
        "378282246310005",
        "371449635398431",
        "6011111111111117",
        "6011000990139424",
        "30569309025904",
        "38520000023237",
        "3530111333300000",
        "6212345678901265",
        "6304000000000000",
        "6759649826438453",
        "6771798021000008",
        "6062828888666688",
    ];

    #[test]
    fn a_card_number_of_every_network_is_found_whatever_stands_around_it() {
        for card in CARDS {
            for (before, after) in [
                ("", ""),
                ("my card: ", ", thanks"),
                ("tok_", ""),
                ("", "@example.org"),
                ("2026-11 ", ""),
                ("11/26 ", " 123"),
                ("2026-11-26 ", ""),
                ("a", "z"),
                ("№", "。"),
            ] {
                let text = format!("{before}{card}{after}");
                assert!(appears_in(&text), "{text}");
            }
        }
    }

    #[test]
    fn a_card_number_is_found_whatever_stands_within_it() {
        for text in [
            "4111 1111 1111 1111 123",
            "4111-1111-1111-1111",
            "4111.1111.1111.1111@example.org",
            "tok_4111_1111_1111_1111",
            "4111/1111/1111/1111",
            "4111--1111--1111--1111",
            "4111 - 1111 - 1111 - 1111",
            "4111\t1111\n1111\u{a0}1111",
            "4111\u{3000}1111\u{2009}1111\u{2028}1111",
            "4111a1111b1111c1111",
            "4111 and 1111 and 1111 and 1111",
            "4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1",
            "41 11 11 11 11 11 11 11",
            "411 111 111 111 111 1",
            "411111 1111111111",
            "4111-11111111-1111",
            "3782 822463 10005",
            "3056 930902 5904",
            "4222 222 222 222",
            "4000 0000 0000 0000 006",
        ] {
            assert!(appears_in(text), "{text}");
        }
    }

    #[test]
    fn a_code_or_an_expiry_that_is_glued_to_a_card_number_does_not_hide_it() {
        for text in [
            "41111111111111111123",
            "4111 1111 1111 1111123",
            "12264242424242424242",
            "42424242424242421226123",
            "12264242424242424242123",
            "00004111111111111111000",
            "378282246310005 1234",
            "3782822463100051234",
        ] {
            assert!(appears_in(text), "{text}");
        }
    }

    #[test]
    fn digits_of_every_script_count_and_what_cannot_be_seen_does_not() {
        for text in [
            "４１１１１１１１１１１１１１１１",
            "٤١١١ ١١١١ ١١١١ ١١١١",
            "۴۱۱۱۱۱۱۱۱۱۱۱۱۱۱۱",
            "४१११११११११११११११",
            "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏",
            "4١1１111111111111",
            "④①①①①①①①①①①①①①①①",
            "⁴¹¹¹¹¹¹¹¹¹¹¹¹¹¹¹",
            "4\u{200b}1\u{200d}1\u{2060}1\u{feff}111111111111",
            "4\u{ad}111\u{301}111111111111",
            "4\u{202e}111111111111111",
            "4\u{fe0f}\u{20e3}1\u{fe0f}\u{20e3}11111111111111",
            "4\u{0}111111111111111",
        ] {
            assert!(appears_in(text), "{text}");
        }
    }

    #[test]
    fn what_no_issuer_gives_out_passes() {
        for text in [
            "",
            "Ada",
            "ada1990@example.org",
            "13812345678@163.com",
            "tok_ok",
            "tok_1MqLiJLkdIwHu7ixUEgbFdYn",
            "+44 20 7946 0958",
            "+49 1511 2345678",
            "06 12 34 56 78, 06 23 45 67 89",
            "1980-01-31",
            "26.11.2026, 27.11.2026",
            "2026-11-26 14:00 to 2026-11-27T16:00:12.123Z",
            "retried 3 times, 4801.00 of 4801.01, on 2026-11-26 at 14:05",
            "1795699635680",
            "1795699635680123",
            "4111111111111112",
            "0000000000000000",
            "9999999999999995",
            "saga_41111111111111110000000000000000",
            "0192f0c1-a2b3-7c4d-8e5f-000000000001",
            "41111111-1111-1111-0000-000000000000",
        ] {
            assert!(!appears_in(text), "{text}");
        }
    }

    #[test]
    fn the_place_in_a_document_is_told_and_nothing_of_the_number() {
        for (document, place) in [
            (json!({"reply": {"note": "4111111111111111"}}), "#/reply/note"),
            (json!({"card": 378_282_246_310_005_u64}), "#/card"),
            (json!({"list": ["a", {"b": "4111-1111-1111-1111"}]}), "#/list/1/b"),
            (json!({"x": {"6011111111111117": true}}), "#/x"),
            (json!({"a/b~c": "3530111333300000"}), "#/a~1b~0c"),
            (json!("4222222222222"), "#"),
        ] {
            assert_eq!(place_in(&document, "#").as_deref(), Some(place), "{document}");
        }
        assert_eq!(place_in(&json!({"sent_at": 1_795_699_635_680_u64, "ok": true, "none": null}), "#"), None);
    }

    /// The digit that makes the check of a number right.
    fn checked(mut digits: Vec<u8>) -> Vec<u8> {
        digits.push(0);
        let last = digits.len() - 1;
        while !passes_luhn(&digits) {
            digits[last] += 1;
        }
        digits
    }

    /// Any number that any network gives out.
    fn card() -> impl Strategy<Value = Vec<u8>> {
        let network = (0..NETWORKS.len()).prop_map(|index| &NETWORKS[index]);
        let parts = network.prop_flat_map(|network| {
            let rest = prop::collection::vec(0..=9_u8, DIGITS_MAX);
            (network.from..=network.to, prop::sample::select(network.lengths), rest)
        });
        parts.prop_map(|(issuer, length, rest)| {
            let mut digits: Vec<u8> = issuer.to_string().bytes().map(|byte| byte - b'0').collect();
            digits.extend(rest);
            digits.truncate(length - 1);
            checked(digits)
        })
    }

    proptest! {
        #[test]
        fn every_number_that_a_network_gives_out_is_found_in_groups_of_one_size(
            card in card(), size in 1_usize..8, zero in prop::sample::select(vec!['0', '０', '٠', '०', '𝟎']),
            gap in "[ ._/-]|[a-zA-Zéж中 ,;|+*~._/-]{0,8}", around in "[a-zA-Zéж中 ,;:@#()._-]{0,20}",
        ) {
            let digit = |value: &u8| char::from_u32(u32::from(zero) + u32::from(*value)).unwrap();
            let groups: Vec<String> = card.chunks(size).map(|group| group.iter().map(digit).collect()).collect();
            // Two groups of two sizes are no way to write a card, unless one sign stands between them.
            prop_assume!(groups.len() != 2 || size * 2 == card.len());
            let text = format!("{around}{}{around}", groups.join(&gap));
            prop_assert!(appears_in(&text), "{}", text);
        }

        #[test]
        fn ids_are_never_taken_for_card_numbers(bits: u128) {
            let uuid = uuid::Uuid::from_u128(bits);
            let text = format!("{} of {}", OrderId::from_uuid(uuid), SagaId::from_uuid(uuid));
            prop_assert!(!appears_in(&text), "{}", text);
            prop_assert!(!appears_in(&uuid.to_string()));
        }

        #[test]
        fn timestamps_are_never_taken_for_card_numbers(millis in 1_600_000_000_000_u64..1_999_999_999_999) {
            let (millis, micros) = (millis.to_string(), format!("{millis}000"));
            prop_assert!(!appears_in(&millis), "{}", millis);
            prop_assert!(!appears_in(&micros), "{}", micros);
        }

        #[test]
        fn names_without_digits_pass(name in "\\PN{0,100}") {
            prop_assert!(!appears_in(&name));
        }

        #[test]
        fn any_text_can_be_looked_at(text: String) {
            let _ = appears_in(&text);
        }
    }

    #[test]
    fn few_of_all_numbers_are_refused() {
        // Numbers without any pattern, the same each time: xorshift.
        let mut state: u64 = 88_172_645_463_325_252;
        let mut digit = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'0' + (state % 10) as u8)
        };
        const NUMBERS: u32 = 20_000;
        for (length, permille_max) in [(10, 0), (12, 4), (13, 16), (15, 12), (16, 36), (19, 110)] {
            let refused =
                (0..NUMBERS).filter(|_| appears_in(&(0..length).map(|_| digit()).collect::<String>())).count();
            let permille = refused as f64 * 1000.0 / f64::from(NUMBERS);
            assert!(permille <= f64::from(permille_max), "{permille} of 1000 numbers with {length} digits");
        }
    }
}
