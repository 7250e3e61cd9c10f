//! The business of a saga in words: what is booked, for how many, and for how much. It is read openly from the saga's input, so that a
//! saga of any definition tells as much as its input says under these names, and others tell nothing.

use contract::personal::MASKED;
use serde_json::Value;

use super::ledger;

/// The most things that are told by their descriptions; the input has the others.
const ITEMS_MAX: usize = 3;

/// The names under which inputs tell a sum, the most telling one first.
const SUMS: [&str; 3] = ["/total", "/amount", "/item/total"];

/// The line that the page of a saga begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Business {
    pub(crate) sum: Option<String>,
    /// The things that are booked, and for how many.
    pub(crate) words: Vec<String>,
}

/// The business that an input tells of, if any.
pub(crate) fn business(input: &Value) -> Option<Business> {
    let sum = SUMS.iter().find_map(|place| ledger::money(input.pointer(place)?));
    let items = input.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let one = input.get("item");
    let described = items.iter().chain(one).filter_map(|item| item.get("description")?.as_str());
    let described: Vec<&str> = described.filter(|words| *words != MASKED).collect();
    let mut words: Vec<String> = described.iter().take(ITEMS_MAX).map(|words| (*words).to_owned()).collect();
    if described.len() > ITEMS_MAX {
        words.push(format!("and {} more", described.len() - ITEMS_MAX));
    }
    words.extend(match input.get("travellers").and_then(Value::as_array).map_or(0, Vec::len) {
        0 => None,
        1 => Some("1 traveller".to_owned()),
        many => Some(format!("{many} travellers")),
    });
    (sum.is_some() || !words.is_empty()).then_some(Business { sum, words })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_input_tells_what_is_booked_for_how_many_and_for_how_much() {
        let item = |words: &str| json!({ "offer_id": "fof_1", "description": words, "total": sum("1.00") });
        let order = json!({
            "items": (["LHR to MLE", "Villa", "c", "d", "e"].map(item)), "travellers": [{}, {}], "total": sum("4801.00"),
        });
        let told = business(&order).unwrap();
        assert_eq!(told.sum.as_deref(), Some("4,801.00 EUR"));
        assert_eq!(told.words, ["LHR to MLE", "Villa", "c", "and 2 more", "2 travellers"]);
        let hold = business(&json!({ "item": item("MLE to LHR"), "travellers": [{}] })).unwrap();
        assert_eq!(
            (hold.sum.as_deref(), hold.words.join(", ").as_str()),
            (Some("1.00 EUR"), "MLE to LHR, 1 traveller")
        );
        let payment = business(&json!({ "amount": sum("70.00") })).unwrap();
        assert_eq!((payment.sum.as_deref(), payment.words.len()), (Some("70.00 EUR"), 0));
        assert_eq!(business(&json!({ "place": "here", "amount": "7" })), None);
    }

    fn sum(amount: &str) -> Value {
        json!({ "amount": amount, "currency": "EUR" })
    }
}
