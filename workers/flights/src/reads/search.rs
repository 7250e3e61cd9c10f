//! The search for flights: those with enough seats are priced and sealed as offers.
//!
//! An offer promises a price, not the seats: only a hold takes those.

use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use contract::{
    Money, Page, PageToken,
    flights::{FlightOffer, FlightSearch},
    limits::TRAVELLERS_MAX,
    page::page_size,
    text::search_form,
};
use kit::http::page_token::{self, PageTokenError};
use rust_decimal::Decimal;
use sqlx::PgPool;
use worker_runtime::{DomainError, OfferReads};

use super::offer::Leg;
use crate::offer::FlightTerms;

/// Seats of a flight are no longer sold this shortly before it leaves: an offer, a hold and a ticket need the time.
const SALES_CLOSE_BEFORE: Duration = Duration::from_secs(2 * 3600);

/// The farthest departure that can be searched, in days: what airlines publish.
const SEARCH_DAYS_MAX: i64 = 361;

/// The longest piece of a wrong code that an error repeats, in characters.
const ECHO_CHARS_MAX: usize = 16;

/// The reason why a search cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// Neither an airport nor a metropolitan area.
    #[error("`{code}` is not an airport or metropolitan area that we know")]
    UnknownAirport {
        /// `from` or `to`.
        field: &'static str,
        /// As given, cut.
        code: String,
    },
    /// From somewhere to the same place.
    #[error("`from` and `to` are the same place")]
    SamePlace,
    /// Yesterday, at the place of departure.
    #[error("{date} is in the past: it is already {today} at the place of departure")]
    PastDate { date: NaiveDate, today: NaiveDate },
    /// Beyond what is published.
    #[error("{0} is more than {SEARCH_DAYS_MAX} days ahead; flights are not sold that early")]
    FarDate(NaiveDate),
    /// None, or too many.
    #[error("{0} passengers cannot be booked together: 1 to {TRAVELLERS_MAX} can")]
    Passengers(u32),
    /// Not a token of this search.
    #[error(transparent)]
    PageToken(#[from] PageTokenError),
    #[error(transparent)]
    Failed(#[from] DomainError),
}

/// Finds flights and makes an offer of each one shown.
///
/// # Errors
/// [`SearchError`] says what is wrong with the search.
pub async fn search(reads: &OfferReads, search: &FlightSearch) -> Result<Page<FlightOffer>, SearchError> {
    let now = reads.clock.now();
    let passengers = i16::try_from(search.passengers)
        .ok()
        .filter(|count| (1..=TRAVELLERS_MAX).contains(&usize::from(count.unsigned_abs())))
        .ok_or(SearchError::Passengers(search.passengers))?;
    let query = query_text(search);
    let after = match &search.page_token {
        Some(token) => position(token, &query)?,
        None => (DateTime::UNIX_EPOCH, 0),
    };
    let (origins, destinations) = places(&reads.pool, search, now).await?;
    let page_size = page_size(search.page_size);

    let found: Vec<Found> = sqlx::query_as(
        "SELECT f.flight_id, f.carrier, c.name AS carrier_name, f.number, f.origin, f.destination,
                f.departs_at, f.departs_local, f.arrives_at, f.arrives_local, i.fare, i.currency
         FROM flight f JOIN carrier c ON c.code = f.carrier JOIN cabin_inventory i USING (flight_id)
         WHERE f.origin = ANY($1) AND f.destination = ANY($2) AND f.departs_on = $3 AND f.active
           AND i.cabin = $4 AND i.available >= $5 AND f.departs_at > $6 AND (f.departs_at, f.flight_id) > ($7, $8)
         ORDER BY f.departs_at, f.flight_id LIMIT $9",
    )
    .bind(&origins)
    .bind(&destinations)
    .bind(search.date)
    .bind(search.cabin.as_str())
    .bind(i32::from(passengers))
    .bind(now + SALES_CLOSE_BEFORE)
    .bind(after.0)
    .bind(after.1)
    // One more than shown tells whether there is another page.
    .bind(i64::from(page_size) + 1)
    .fetch_all(&reads.pool)
    .await
    .map_err(DomainError::doing("searching flights"))?;

    let shown = usize::try_from(page_size).unwrap_or(usize::MAX);
    let page = Page::cut(found, shown, |last| {
        page_token::write(&query, &(last.leg.departs_at.timestamp_micros(), last.flight_id))
    });
    let items = page.items.into_iter().map(|found| found.offer(reads, search, now)).collect::<Result<_, _>>()?;
    Ok(Page { items, next_page_token: page.next_page_token })
}

#[derive(sqlx::FromRow)]
struct Found {
    flight_id: i64,
    #[sqlx(flatten)]
    leg: Leg,
    fare: Decimal,
    currency: String,
}

impl Found {
    fn offer(self, reads: &OfferReads, search: &FlightSearch, now: DateTime<Utc>) -> Result<FlightOffer, DomainError> {
        let Self { flight_id, leg, fare, currency } = self;
        let FlightSearch { cabin, passengers, .. } = *search;
        let total = Money::from_parts(fare, &currency).and_then(|fare| fare.times(passengers));
        let total = total.map_err(|error| {
            DomainError::broken_row("cabin_inventory", "fare", format!("{flight_id} {}", cabin.as_str()), error)
        })?;
        let (terms, expires_at) = (FlightTerms { flight_id, cabin, passengers, total }, reads.expiry(now));
        Ok(leg.offered(terms.seal(&reads.keys, kit::ids::uuid_v7(), expires_at), &terms, expires_at))
    }
}

/// The text that a page token is bound to: the whole search but for the page.
fn query_text(search: &FlightSearch) -> String {
    let FlightSearch { from, to, date, cabin, passengers, .. } = search;
    format!("{} {} {date} {} {passengers}", code(from), code(to), cabin.as_str())
}

/// A code as it was meant, however it was typed. What PostgreSQL's text cannot hold (NUL) becomes what no code has.
fn code(typed: &str) -> String {
    let plain = |letter: char| if letter.is_control() { '?' } else { letter.to_ascii_uppercase() };
    // Far more than a code has, and so little that a long text costs nothing.
    let typed: String = typed.trim().chars().take(ECHO_CHARS_MAX).collect();
    search_form(&typed).chars().map(plain).collect()
}

fn position(token: &PageToken, query: &str) -> Result<(DateTime<Utc>, i64), PageTokenError> {
    let (micros, flight): (i64, i64) = page_token::read(token, query)?;
    // A token may have been written by hand: a time that PostgreSQL cannot hold is none of ours.
    let departs_at = DateTime::from_timestamp_micros(micros).filter(|time| (1970..10_000).contains(&time.year()));
    Ok((departs_at.ok_or(PageTokenError)?, flight))
}

/// The airports behind both codes; checks the date against the wall calendar of departure.
async fn places(
    pool: &PgPool,
    search: &FlightSearch,
    now: DateTime<Utc>,
) -> Result<(Vec<String>, Vec<String>), SearchError> {
    let (from, to) = (code(&search.from), code(&search.to));
    let airports: Vec<(bool, String, NaiveDate)> = sqlx::query_as(
        "SELECT side.is_from, a.iata, ($3 AT TIME ZONE a.zone)::date
         FROM (VALUES (true, $1), (false, $2)) AS side (is_from, code)
         JOIN airport a ON a.iata = side.code
           OR a.iata IN (SELECT m.iata FROM metropolitan_area m WHERE m.code = side.code)",
    )
    .bind(&from)
    .bind(&to)
    .bind(now)
    .fetch_all(pool)
    .await
    .map_err(DomainError::doing("looking up airports"))?;

    let side = |wanted: bool| -> Vec<String> {
        airports.iter().filter(|(is_from, ..)| *is_from == wanted).map(|(_, iata, _)| iata.clone()).collect()
    };
    let (origins, destinations) = (side(true), side(false));
    if origins.is_empty() {
        return Err(SearchError::UnknownAirport { field: "from", code: from });
    }
    if destinations.is_empty() {
        return Err(SearchError::UnknownAirport { field: "to", code: to });
    }
    if origins.iter().any(|iata| destinations.contains(iata)) {
        return Err(SearchError::SamePlace);
    }
    let today = airports.iter().filter(|(is_from, ..)| *is_from).map(|(.., today)| *today).min();
    let today = today.unwrap_or_else(|| now.date_naive());
    if search.date < today {
        return Err(SearchError::PastDate { date: search.date, today });
    }
    if search.date.signed_duration_since(today).num_days() > SEARCH_DAYS_MAX {
        return Err(SearchError::FarDate(search.date));
    }
    Ok((origins, destinations))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_however_it_is_typed() {
        for typed in ["ZRH", "zrh", " Zrh ", "\u{ff3a}\u{ff32}\u{ff28}", "\u{ff5a}rh"] {
            assert_eq!(code(typed), "ZRH", "{typed}");
        }
        // One letter in its composed and in its decomposed form.
        assert_eq!(code("Z\u{fc}R"), code("Zu\u{308}R"));
        assert_eq!(code("L\0R"), "L?R");
        assert!(code(&"x".repeat(9999)).len() <= ECHO_CHARS_MAX);
    }

    #[test]
    fn a_page_begins_only_where_a_page_can_have_ended() {
        let at = |micros: i64| position(&page_token::write("LHR MLE", &(micros, 7)), "LHR MLE");
        let departs_at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(at(1_800_000_000_000_000), Ok((departs_at, 7)));
        for micros in [-1, i64::MIN, i64::MAX, 8_000_000_000_000_000_000] {
            assert_eq!(at(micros), Err(PageTokenError), "{micros}");
        }
    }
}
