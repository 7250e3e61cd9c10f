//! A saga's search attributes: each with the way to the sagas that share its value.

use askama::Template;
use contract::Attributes;

use super::{names, saga_addresses};

/// An attribute as a link to the sagas that share its value.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = r##"<a class="attribute" href="{{ address }}" title="{{ term }}"><span class="muted">{{ words }}</span> {{ short }}</a>"##
)]
pub(crate) struct Attribute {
    words: String,
    short: String,
    /// The term of the query bar.
    term: String,
    address: String,
}

/// All attributes of a saga, in the order of their names.
pub(crate) fn all(attributes: &Attributes) -> Vec<Attribute> {
    let one = |(name, value): (&str, &str)| {
        let term = format!("attr.{name}:{value}");
        let address = saga_addresses::address(&term);
        Attribute { words: names::words(name), short: names::shortened(value), term, address }
    };
    attributes.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_leads_to_the_sagas_that_share_its_value() {
        let attributes = "departs_on:2026-12-24,payment_id:pay_0190a1b2c3d4e5f60718293a4b5c6d7e".parse().unwrap();
        let [day, payment] = &all(&attributes)[..] else { panic!("two attributes") };
        assert_eq!((day.words.as_str(), day.short.as_str()), ("departs on", "2026-12-24"));
        assert_eq!(day.address, "/ops/sagas?q=attr.departs_on%3A2026-12-24");
        assert_eq!(payment.short, "pay_…4b5c6d7e");
    }
}
