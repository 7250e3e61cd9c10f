//! The language of the query bar: `status:needs_attention error:capture-payment/card_declined age>1h`. The same text
//! stands in the address, so that a view can be kept and sent as a link.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use contract::saga::SagaStatus;

/// The longest text, in bytes: some twenty terms.
const QUERY_BYTES_MAX: usize = 1_000;

/// A term and its name for the listing.
const FIELDS: [(&str, &str); 6] = [
    ("status", "status"),
    ("name", "name"),
    ("key", "business_key"),
    ("owner", "owner"),
    ("error", "error"),
    ("parent", "parent"),
];

/// A query that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// The terms as they were typed, in their order.
    pub(crate) terms: Vec<String>,
    /// The parameters of the listing.
    pub(crate) parameters: Vec<(&'static str, String)>,
}

impl Query {
    /// The text without one of its terms.
    pub(crate) fn without(&self, term: usize) -> String {
        let others = self.terms.iter().enumerate().filter(|(at, _)| *at != term);
        others.map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// Reads a query; the error says which term is wrong and what there is.
pub(crate) fn read(text: &str, now: DateTime<Utc>) -> Result<Query, String> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(format!("The query is longer than {QUERY_BYTES_MAX} bytes."));
    }
    let mut query = Query::default();
    for term in text.split_whitespace() {
        let (name, value) = parameter(term, now)?;
        match query.parameters.iter_mut().find(|(known, _)| *known == name) {
            // Several statuses are one parameter.
            Some((_, values)) if name == "status" => *values = format!("{values},{value}"),
            Some(_) => return Err(format!("`{term}` is the second of its kind; only statuses can be several.")),
            None => query.parameters.push((name, value)),
        }
        query.terms.push(term.to_owned());
    }
    Ok(query)
}

fn parameter(term: &str, now: DateTime<Utc>) -> Result<(&'static str, String), String> {
    let ago = |length: &str| time(now, span(length)?, false);
    let ahead = |length: &str| time(now, span(length)?, true);
    if let Some(length) = term.strip_prefix("age>") {
        return Ok(("created_before", ago(length)?));
    }
    if let Some(length) = term.strip_prefix("age<") {
        return Ok(("created_after", ago(length)?));
    }
    if let Some(length) = term.strip_prefix("holds<") {
        return Ok(("holds_before", ahead(length)?));
    }
    match term.split_once(':') {
        None if term == "paused" => Ok(("paused", "true".to_owned())),
        None => Ok(("q", term.to_owned())),
        Some(("sort", "holds")) => Ok(("sort", "holds_until".to_owned())),
        Some(("status", word)) => {
            let known = SagaStatus::ALL.map(SagaStatus::as_str);
            if known.contains(&word) {
                return Ok(("status", word.to_owned()));
            }
            Err(format!("`{word}` is no status. There are {}.", known.join(", ")))
        }
        Some((field, value)) => {
            let known = FIELDS.iter().find(|(name, _)| *name == field).filter(|_| !value.is_empty());
            known.map(|(_, name)| (*name, value.to_owned())).ok_or_else(|| {
                let names = FIELDS.map(|(name, _)| format!("{name}:")).join(", ");
                format!("`{term}` is no term. There are {names}, paused, age>1h, age<1h, holds<30m and sort:holds.")
            })
        }
    }
}

fn time(now: DateTime<Utc>, length: TimeDelta, ahead: bool) -> Result<String, String> {
    let at = if ahead { now.checked_add_signed(length) } else { now.checked_sub_signed(length) };
    let at = at.ok_or_else(|| "That time lies too far away.".to_owned())?;
    Ok(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// A length such as `90s`, `30m`, `1h`, `7d`.
fn span(text: &str) -> Result<TimeDelta, String> {
    let wrong = || format!("`{text}` is no length of time, such as 30m, 1h or 7d.");
    let split = text.len() - text.chars().next_back().map_or(0, char::len_utf8);
    let (number, unit) = text.split_at(split);
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let length = match unit {
        "s" => TimeDelta::try_seconds(number),
        "m" => TimeDelta::try_minutes(number),
        "h" => TimeDelta::try_hours(number),
        "d" => TimeDelta::try_days(number),
        _ => None,
    };
    length.filter(|length| *length >= TimeDelta::zero()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(text: &str) -> Result<Vec<(&'static str, String)>, String> {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        read(text, now).map(|query| query.parameters)
    }

    #[test]
    fn terms_become_the_listings_parameters() {
        let read = parameters("status:running status:compensating error:hold-rooms/room_sold_out age>1h paused ord_7")
            .unwrap();
        let expected = [
            ("status", "running,compensating"),
            ("error", "hold-rooms/room_sold_out"),
            ("created_before", "1970-01-01T23:00:00Z"),
            ("paused", "true"),
            ("q", "ord_7"),
        ];
        assert_eq!(read, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn a_wrong_term_is_named_with_the_right_ones() {
        for (text, word) in [
            ("status:runing", "needs_attention"),
            ("colour:red", "status:"),
            ("age>1y", "30m"),
            ("age>", "30m"),
            ("name:a name:b", "second"),
            ("name:", "no term"),
        ] {
            let said = parameters(text).unwrap_err();
            assert!(said.contains(word), "{text}: {said}");
        }
        assert!(parameters(&"x".repeat(QUERY_BYTES_MAX + 1)).is_err());
        assert!(parameters("age>99999999999999d").is_err());
    }

    #[test]
    fn a_term_can_be_taken_out_again() {
        let query = read("status:running ord_7 paused", DateTime::UNIX_EPOCH).unwrap();
        assert_eq!(query.without(1), "status:running paused");
    }
}
