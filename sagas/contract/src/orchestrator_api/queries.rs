//! The language in which people ask for sagas: `status:needs_attention step:capture-payment age>1h`. The query bar of the
//! pages and `sagactl --query` read the same text, so that a list that is seen in one can be asked of the other.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;

use super::jobs::SagaFilter;
use crate::{attributes::AttributeError, ids::SagaId, saga::SagaStatus};

/// The longest query, in bytes: some twenty terms.
pub const QUERY_BYTES_MAX: usize = 1_000;

/// The terms, for those who typed another one.
const TERMS: &str = "status:, name:, version:, key:, owner:, error:, step:, parent:, paused, \
                     attr.departs_on:2026-12-24, age>1h, age<1h, \
                     started>2026-12-01, started<2026-12-01, ended>2026-12-01, ended<2026-12-01, holds<30m, \
                     sort:oldest, sort:ended, sort:holds, and -status:";

/// Stands before the name of an attribute, so that no attribute hides a term of a later version.
const ATTRIBUTE_PREFIX: &str = "attr.";

/// The orders of a listing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SagaOrder {
    /// The newest saga first.
    #[default]
    Newest,
    /// The oldest saga first.
    Oldest,
    /// The saga that ended last comes first; only sagas that have ended.
    Ended,
    /// The saga whose hold lapses first comes first; only sagas that hold something.
    HoldsUntil,
}

impl SagaOrder {
    /// The word for the listing's `sort`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::Ended => "ended",
            Self::HoldsUntil => "holds_until",
        }
    }
}

/// A query that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SagaQuery {
    /// The terms as they were typed, in their order.
    pub terms: Vec<String>,
    /// The conditions that all of them make.
    pub filter: SagaFilter,
    /// The order of the list.
    pub order: SagaOrder,
}

/// The reason why a query cannot be read, as a sentence for the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SagaQueryError {
    /// The text is too long.
    #[error("The query is longer than {QUERY_BYTES_MAX} bytes.")]
    TooLong,
    /// A quotation mark without its second one.
    #[error("`{0}` opens a quotation and does not end it.")]
    OpenQuotation(String),
    /// There is no such term, or it has no value.
    #[error("`{0}` is no term. There are {TERMS}.")]
    UnknownTerm(String),
    /// There is no such status.
    #[error("`{0}` is no status. There are {known}.", known = SagaStatus::ALL.map(SagaStatus::as_str).join(", "))]
    UnknownStatus(String),
    /// A condition that can be met by one value only is there twice.
    #[error("`{0}` is the second of its kind; only statuses, ids and attributes can be several.")]
    Repeated(String),
    /// All statuses are left out.
    #[error("The terms leave no status.")]
    NoStatus,
    /// Another kind of value is needed.
    #[error("`{0}` is no {1}.")]
    WrongValue(String, &'static str),
    /// An attribute that is not of its form.
    #[error("`{0}` cannot be read: {1}.")]
    Attribute(String, AttributeError),
    /// A time that no calendar has.
    #[error("`{0}` lies too far away.")]
    TooFar(String),
    /// A job acts on all that match, in its own order.
    #[error("A job cannot go by what lapses first: take `sort:holds` out, or say until when with `holds<30m`.")]
    OrderOfJob,
    /// A job acts on sagas that go on.
    #[error("A job cannot act on sagas that have ended: take `ended` out.")]
    EndedForJob,
}

impl SagaQuery {
    /// Reads a query. Lengths of time are counted from `now`.
    ///
    /// # Errors
    /// The first term that is wrong, and the right ones.
    pub fn read(text: &str, now: DateTime<Utc>) -> Result<Self, SagaQueryError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(SagaQueryError::TooLong);
        }
        let mut query = Self { terms: terms(text)?, ..Self::default() };
        let (mut without, mut order) = (Vec::new(), None);
        for term in &query.terms {
            let reader = Term { term, now };
            match term.strip_prefix("-status:") {
                Some(word) => without.push(status(word)?),
                None => reader.read(&mut query.filter, &mut order)?,
            }
        }
        // What ended within a time is found in the order of the ends.
        let usual = if query.filter.is_of_ended() { SagaOrder::Ended } else { SagaOrder::default() };
        query.order = order.unwrap_or(usual);
        if !without.is_empty() {
            let asked = |status: &SagaStatus| query.filter.status.is_empty() || query.filter.status.contains(status);
            let left = SagaStatus::ALL.into_iter().filter(|status| asked(status) && !without.contains(status));
            query.filter.status = left.collect();
            if query.filter.status.is_empty() {
                return Err(SagaQueryError::NoStatus);
            }
        }
        Ok(query)
    }

    /// The text without one of its terms.
    #[must_use]
    pub fn without(&self, term: usize) -> String {
        let others = self.terms.iter().enumerate().filter(|(at, _)| *at != term);
        others.map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// The parameters of the listing.
    #[must_use]
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let order = (self.order != SagaOrder::default()).then(|| ("sort", self.order.as_str().to_owned()));
        self.filter.parameters().into_iter().chain(order).collect()
    }

    /// The conditions of a job over all sagas of the list.
    ///
    /// # Errors
    /// When the order leaves sagas out that the conditions would choose, or all of them have ended.
    pub fn into_filter(self) -> Result<SagaFilter, SagaQueryError> {
        match self.order {
            SagaOrder::Newest | SagaOrder::Oldest if self.filter.is_of_ended() => Err(SagaQueryError::EndedForJob),
            SagaOrder::Newest | SagaOrder::Oldest => Ok(self.filter),
            SagaOrder::Ended => Err(SagaQueryError::EndedForJob),
            SagaOrder::HoldsUntil => Err(SagaQueryError::OrderOfJob),
        }
    }
}

impl SagaFilter {
    /// True when only sagas that have ended can meet it, by the time of their end.
    const fn is_of_ended(&self) -> bool {
        self.finished_after.is_some() || self.finished_before.is_some()
    }

    /// The conditions as parameters of the listing.
    #[must_use]
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let Self { status, name, version, business_key, owner, error, step, paused, parent, ids, .. } = self;
        let Self { attributes, created_after, created_before, finished_after, finished_before, holds_before, .. } =
            self;
        let list = |words: Vec<String>| (!words.is_empty()).then(|| words.join(","));
        let time = |at: &Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        let all = [
            ("status", list(status.iter().map(|status| status.as_str().to_owned()).collect())),
            ("name", name.clone()),
            ("version", version.map(|version| version.to_string())),
            ("business_key", business_key.clone()),
            ("owner", owner.clone()),
            ("error", error.clone()),
            ("step", step.as_ref().map(ToString::to_string)),
            ("paused", paused.then(|| "true".to_owned())),
            ("parent", parent.map(|parent| parent.to_string())),
            ("ids", list(ids.iter().map(ToString::to_string).collect())),
            ("attributes", (!attributes.is_empty()).then(|| attributes.to_string())),
            ("created_after", time(created_after)),
            ("created_before", time(created_before)),
            ("finished_after", time(finished_after)),
            ("finished_before", time(finished_before)),
            ("holds_before", time(holds_before)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// One term, and the time that it is read at.
struct Term<'a> {
    term: &'a str,
    now: DateTime<Utc>,
}

impl Term<'_> {
    fn read(&self, filter: &mut SagaFilter, order: &mut Option<SagaOrder>) -> Result<(), SagaQueryError> {
        let term = self.term;
        let after = |start: &str| term.strip_prefix(start).map(unquoted);
        if let Some(length) = after("age>") {
            return self.once(&mut filter.created_before, self.ago(&length)?);
        }
        if let Some(length) = after("age<") {
            return self.once(&mut filter.created_after, self.ago(&length)?);
        }
        if let Some(time) = after("started<") {
            return self.once(&mut filter.created_before, moment(&time)?);
        }
        if let Some(time) = after("started>") {
            return self.once(&mut filter.created_after, moment(&time)?);
        }
        if let Some(time) = after("ended<") {
            return self.once(&mut filter.finished_before, moment(&time)?);
        }
        if let Some(time) = after("ended>") {
            return self.once(&mut filter.finished_after, moment(&time)?);
        }
        if let Some(length) = after("holds<") {
            return self.once(&mut filter.holds_before, self.ahead(&length)?);
        }
        let Some((field, value)) = term.split_once(':').filter(|(field, _)| !field.contains('"')) else {
            return match (term, term.parse::<SagaId>()) {
                ("paused", _) => {
                    filter.paused = true;
                    Ok(())
                }
                (_, Ok(id)) => {
                    filter.ids.push(id);
                    Ok(())
                }
                (_, Err(_)) => self.once(&mut filter.business_key, self.some(term)?),
            };
        };
        let value = self.some(value)?;
        let wrong = |what| SagaQueryError::WrongValue(value.clone(), what);
        if let Some(name) = field.strip_prefix(ATTRIBUTE_PREFIX) {
            let added = filter.attributes.add(name, &value);
            return added.map_err(|error| SagaQueryError::Attribute(term.to_owned(), error));
        }
        match field {
            "status" => {
                filter.status.push(status(&value)?);
                Ok(())
            }
            "name" => self.once(&mut filter.name, value),
            "version" => self.once(&mut filter.version, value.parse().map_err(|_| wrong("number of a version"))?),
            "key" => self.once(&mut filter.business_key, value),
            "owner" => self.once(&mut filter.owner, value),
            "error" => self.once(&mut filter.error, value),
            "step" => self.once(&mut filter.step, value.parse().map_err(|_| wrong("name of a step"))?),
            "parent" => self.once(&mut filter.parent, value.parse().map_err(|_| wrong("saga's id"))?),
            "sort" => {
                *order = Some(match value.as_str() {
                    "newest" => SagaOrder::Newest,
                    "oldest" => SagaOrder::Oldest,
                    "ended" => SagaOrder::Ended,
                    "holds" => SagaOrder::HoldsUntil,
                    _ => return Err(wrong("order: there are newest, oldest, ended and holds")),
                });
                Ok(())
            }
            _ => Err(SagaQueryError::UnknownTerm(term.to_owned())),
        }
    }

    fn once<T>(&self, field: &mut Option<T>, value: T) -> Result<(), SagaQueryError> {
        match field.replace(value) {
            None => Ok(()),
            Some(_) => Err(SagaQueryError::Repeated(self.term.to_owned())),
        }
    }

    /// A value without its quotation marks; an empty one is none.
    fn some(&self, value: &str) -> Result<String, SagaQueryError> {
        let value = unquoted(value);
        // A negation of anything but a status would be taken for a business key, and find nothing.
        if value.is_empty() || self.term.starts_with('-') {
            return Err(SagaQueryError::UnknownTerm(self.term.to_owned()));
        }
        Ok(value)
    }

    fn ago(&self, length: &str) -> Result<DateTime<Utc>, SagaQueryError> {
        let at = self.now.checked_sub_signed(span(length)?);
        at.ok_or_else(|| SagaQueryError::TooFar(self.term.to_owned()))
    }

    fn ahead(&self, length: &str) -> Result<DateTime<Utc>, SagaQueryError> {
        let at = self.now.checked_add_signed(span(length)?);
        at.ok_or_else(|| SagaQueryError::TooFar(self.term.to_owned()))
    }
}

/// A time such as `2026-12-01T08:00:00Z`, or the midnight (UTC) with which a day begins.
fn moment(text: &str) -> Result<DateTime<Utc>, SagaQueryError> {
    let day = || text.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let at = DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()).or_else(day);
    at.ok_or_else(|| SagaQueryError::WrongValue(text.to_owned(), "time such as 2026-12-01 or 2026-12-01T08:00:00Z"))
}

/// The text's terms: what stands between spaces, but for spaces within quotation marks.
fn terms(text: &str) -> Result<Vec<String>, SagaQueryError> {
    let mut terms = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        quoted ^= character == '"';
        match terms.last_mut() {
            Some(last) if quoted || !character.is_whitespace() => last.push(character),
            _ => terms.push(String::new()),
        }
    }
    if quoted {
        return Err(SagaQueryError::OpenQuotation(terms.pop().unwrap_or_default()));
    }
    terms.retain(|term| !term.is_empty());
    Ok(terms)
}

fn unquoted(value: &str) -> String {
    value.replace('"', "")
}

fn status(word: &str) -> Result<SagaStatus, SagaQueryError> {
    let known = SagaStatus::ALL.into_iter().find(|status| status.as_str() == word);
    known.ok_or_else(|| SagaQueryError::UnknownStatus(word.to_owned()))
}

/// A length such as `90s`, `30m`, `1h`, `7d`.
fn span(text: &str) -> Result<TimeDelta, SagaQueryError> {
    let wrong = || SagaQueryError::WrongValue(text.to_owned(), "length of time such as 30m, 1h or 7d");
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

    fn parameters(text: &str) -> Result<Vec<(&'static str, String)>, SagaQueryError> {
        SagaQuery::read(text, DateTime::UNIX_EPOCH + TimeDelta::days(1)).map(|query| query.parameters())
    }

    #[test]
    fn terms_become_the_listings_parameters() {
        let id = SagaId::from_uuid(uuid::Uuid::from_u128(7));
        let text = format!(
            "attr.departs_on:2026-12-24 attr.payment_id:\"pay_1\" status:running status:compensating version:2 error:hold-rooms/room_sold_out step:hold-rooms age>1h \
             started>1970-01-01T08:00:00+02:00 holds<30m paused \"ord 7:a\" {id} sort:oldest"
        );
        let expected = [
            ("status", "running,compensating"),
            ("version", "2"),
            ("business_key", "ord 7:a"),
            ("error", "hold-rooms/room_sold_out"),
            ("step", "hold-rooms"),
            ("paused", "true"),
            ("ids", &id.to_string()),
            ("attributes", "departs_on:2026-12-24,payment_id:pay_1"),
            ("created_after", "1970-01-01T06:00:00Z"),
            ("created_before", "1970-01-01T23:00:00Z"),
            ("holds_before", "1970-01-02T00:30:00Z"),
            ("sort", "oldest"),
        ];
        assert_eq!(parameters(&text).unwrap(), expected.map(|(name, value)| (name, value.to_owned())));
        assert_eq!(parameters("started<1970-01-05").unwrap(), [("created_before", "1970-01-05T00:00:00Z".to_owned())]);
    }

    #[test]
    fn what_ended_within_a_time_comes_in_the_order_of_the_ends_unless_another_is_asked_for() {
        let day = ("finished_after", "1970-01-02T00:00:00Z".to_owned());
        let next = ("finished_before", "1970-01-03T00:00:00Z".to_owned());
        let by = |order: &str| ("sort", order.to_owned());
        let within = "ended>1970-01-02 ended<1970-01-03";
        assert_eq!(parameters(within).unwrap(), [day.clone(), next, by("ended")]);
        assert_eq!(parameters("ended>1970-01-02 sort:oldest").unwrap(), [day.clone(), by("oldest")]);
        assert_eq!(parameters("sort:newest ended>1970-01-02").unwrap(), [day]);
        assert_eq!(parameters("sort:ended").unwrap(), [by("ended")]);
        for text in ["sort:ended", "ended>1970-01-02", "ended>1970-01-02 sort:oldest"] {
            let query = SagaQuery::read(text, DateTime::UNIX_EPOCH).unwrap();
            assert_eq!(query.into_filter(), Err(SagaQueryError::EndedForJob), "{text}");
        }
    }

    #[test]
    fn a_status_can_be_left_out() {
        let left = "running,compensating,compensated,needs_attention,abandoned".to_owned();
        assert_eq!(parameters("-status:completed").unwrap(), [("status", left)]);
        let left = parameters("status:running status:completed -status:completed").unwrap();
        assert_eq!(left, [("status", "running".to_owned())]);
        assert_eq!(parameters("status:completed -status:completed"), Err(SagaQueryError::NoStatus));
    }

    #[test]
    fn a_wrong_term_is_named_with_the_right_ones() {
        for (text, word) in [
            ("status:runing", "needs_attention"),
            ("-status:runing", "needs_attention"),
            ("colour:red", "status:"),
            ("-name:order", "-status:"),
            ("-ord_7", "-status:"),
            ("age>1y", "30m"),
            ("age>", "30m"),
            ("started>yesterday", "2026-12-01"),
            ("ended<tomorrow", "2026-12-01"),
            ("name:a name:b", "second"),
            ("age>1h started<2026-12-01", "second"),
            ("ord_7 key:ord_8", "second"),
            ("name:", "no term"),
            ("name:\"\"", "no term"),
            ("name:\"a b", "quotation"),
            ("version:new", "number"),
            ("step:Hold", "step"),
            ("parent:ord_7", "id"),
            ("sort:name", "oldest"),
            ("attr.departs_on:", "no term"),
            ("attr.Departs:2026-12-24", "name"),
            ("attr.guest:\"Ada Example\"", "value"),
            ("attr.a:1 attr.a:2", "twice"),
            ("age>99999999999999d", "length"),
            ("age>99999999999d", "far"),
        ] {
            let said = parameters(text).unwrap_err().to_string();
            assert!(said.contains(word), "{text}: {said}");
        }
        assert_eq!(parameters(&"x".repeat(QUERY_BYTES_MAX + 1)), Err(SagaQueryError::TooLong));
    }

    #[test]
    fn a_term_can_be_taken_out_again_and_an_order_is_nothing_for_a_job() {
        let query = SagaQuery::read("status:running \"ord 7\" paused", DateTime::UNIX_EPOCH).unwrap();
        assert_eq!(query.without(1), "status:running paused");
        assert!(query.into_filter().unwrap().paused);
        let by_hold = SagaQuery::read("sort:holds", DateTime::UNIX_EPOCH).unwrap();
        assert_eq!(by_hold.into_filter(), Err(SagaQueryError::OrderOfJob));
    }
}
