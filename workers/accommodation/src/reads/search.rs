//! The search for stays: rooms that are free on every night and that no restriction closes are priced and sealed as offers.
//!
//! An offer promises a price, not the room: only a hold takes that.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, Utc};
use contract::{
    Money, Page, PageToken,
    accommodation::{StayOffer, StaySearch},
    limits::TRAVELLERS_MAX,
    page::page_size,
    text::{SearchText, SearchTextError},
};
use kit::http::page_token::{self, PageTokenError};
use rust_decimal::Decimal;
use sqlx::PgPool;
use worker_runtime::{DomainError, OfferReads};

use super::offer::Room;
use crate::offer::StayTerms;

/// The longest stay, in nights: as the large booking platforms have it.
const STAY_NIGHTS_MAX: i64 = 90;
/// The farthest departure that can be searched, in days.
const SEARCH_DAYS_MAX: i64 = 500;
/// How far behind UTC the last place on earth is: until then it is still yesterday somewhere.
const LATEST_ZONE: Duration = Duration::from_secs(12 * 3600);

/// The reason why a search cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The place is empty, too long, or has characters that cannot be seen.
    #[error("`place` cannot be looked for: {0}")]
    Place(#[from] SearchTextError),
    /// Arrival in the past.
    #[error("{0} is in the past everywhere")]
    PastDate(NaiveDate),
    /// Departure not after arrival.
    #[error("the departure on {check_out} must be after the arrival on {check_in}")]
    NoNights { check_in: NaiveDate, check_out: NaiveDate },
    /// Too many nights.
    #[error("a stay has at most {STAY_NIGHTS_MAX} nights, not {0}")]
    TooLong(i64),
    /// Beyond what is sold.
    #[error("{0} is more than {SEARCH_DAYS_MAX} days ahead; rooms are not sold that early")]
    FarDate(NaiveDate),
    /// None, or too many.
    #[error("{0} guests cannot be booked together: 1 to {TRAVELLERS_MAX} can")]
    Guests(u32),
    /// Not a token of this search.
    #[error(transparent)]
    PageToken(#[from] PageTokenError),
    #[error(transparent)]
    Failed(#[from] DomainError),
}

/// Finds stays and makes an offer of each one shown.
///
/// # Errors
/// [`SearchError`] says what is wrong with the search.
pub async fn search(reads: &OfferReads, search: &StaySearch) -> Result<Page<StayOffer>, SearchError> {
    let now = reads.clock.now();
    let asked = Asked::check(search, now)?;
    let query = asked.query_text();
    let after = search.page_token.as_ref().map(|token| position(token, &query)).transpose()?;
    let page_size = page_size(search.page_size);
    let found = asked.find(&reads.pool, after, now, page_size).await?;

    let shown = usize::try_from(page_size).unwrap_or(usize::MAX);
    let page =
        Page::cut(found, shown, |last| page_token::write(&query, &(&last.currency, last.total, last.room_type_id)));
    let items = page.items.into_iter().map(|found| found.offer(reads, &asked, now)).collect::<Result<_, _>>()?;
    Ok(Page { items, next_page_token: page.next_page_token })
}

/// A search that makes sense.
struct Asked {
    place: SearchText,
    check_in: NaiveDate,
    check_out: NaiveDate,
    nights: i64,
    guests: i16,
}

/// A page's last item: currency, total, room type.
type Position = (String, Decimal, i32);

#[derive(sqlx::FromRow)]
struct Found {
    room_type_id: i32,
    #[sqlx(flatten)]
    room: Room,
    total: Decimal,
    currency: String,
}

impl Found {
    fn offer(self, reads: &OfferReads, asked: &Asked, now: DateTime<Utc>) -> Result<StayOffer, DomainError> {
        let Self { room_type_id, room, total, currency } = self;
        let total = Money::from_parts(total, &currency)
            .map_err(|error| DomainError::broken_row("rate", "nightly", room_type_id, error))?;
        let (check_in, check_out, guests) = (asked.check_in, asked.check_out, u32::from(asked.guests.unsigned_abs()));
        let terms = StayTerms { room_type_id, check_in, check_out, guests, total };
        let expires_at = reads.expiry(now);
        Ok(room.offered(terms.seal(&reads.keys, kit::ids::uuid_v7(), expires_at), &terms, expires_at))
    }
}

impl Asked {
    fn check(search: &StaySearch, now: DateTime<Utc>) -> Result<Self, SearchError> {
        let StaySearch { check_in, check_out, guests, .. } = *search;
        let place = SearchText::parse(&search.place)?;
        let guests = i16::try_from(guests)
            .ok()
            .filter(|count| (1..=TRAVELLERS_MAX).contains(&usize::from(count.unsigned_abs())))
            .ok_or(SearchError::Guests(guests))?;
        if check_in < (now - LATEST_ZONE).date_naive() {
            return Err(SearchError::PastDate(check_in));
        }
        let nights = check_out.signed_duration_since(check_in).num_days();
        if nights < 1 {
            return Err(SearchError::NoNights { check_in, check_out });
        }
        let last_day = now.date_naive().checked_add_days(Days::new(SEARCH_DAYS_MAX.unsigned_abs()));
        if last_day.is_some_and(|last_day| check_out > last_day) {
            return Err(SearchError::FarDate(check_out));
        }
        if nights > STAY_NIGHTS_MAX {
            return Err(SearchError::TooLong(nights));
        }
        Ok(Self { place, check_in, check_out, nights, guests })
    }

    /// The text that a page token is bound to: the whole search but for the page.
    fn query_text(&self) -> String {
        format!("{} {} {} {}", self.place.as_str(), self.check_in, self.check_out, self.guests)
    }

    /// Free on every night, with a price for every night, and nothing against it.
    async fn find(
        &self,
        pool: &PgPool,
        after: Option<Position>,
        now: DateTime<Utc>,
        page_size: u32,
    ) -> Result<Vec<Found>, DomainError> {
        let (currency, total, room_type_id) = after.unwrap_or_default();
        sqlx::query_as(
            "SELECT t.room_type_id, t.name AS room_type, p.name AS property, p.place, p.country, p.currency, s.total
             FROM property p JOIN room_type t USING (property_id)
             JOIN LATERAL (
                 SELECT sum(r.nightly) AS total, count(*) AS nights, min(n.available) AS available
                 FROM room_night n JOIN rate r ON r.room_type_id = n.room_type_id AND r.valid @> n.night
                 WHERE n.room_type_id = t.room_type_id AND n.night >= $2 AND n.night < $3
             ) s ON s.nights = $4 AND s.available > 0
             WHERE p.search_text LIKE $1 AND p.active AND t.active AND t.guests_max >= $5
               AND ($6 AT TIME ZONE p.zone)::date <= $2
               AND NOT EXISTS (
                   SELECT FROM restriction x WHERE x.room_type_id = t.room_type_id AND CASE x.kind
                       WHEN 'min_stay' THEN x.valid @> $2::date AND $4 < x.nights
                       WHEN 'min_stay_through' THEN x.valid && daterange($2, $3) AND $4 < x.nights
                       WHEN 'closed_to_arrival' THEN x.valid @> $2::date
                       WHEN 'closed_to_departure' THEN x.valid @> $3::date
                       WHEN 'stop_sell' THEN x.valid && daterange($2, $3) END)
               AND (p.currency, s.total, t.room_type_id) > ($7, $8, $9)
             ORDER BY p.currency, s.total, t.room_type_id LIMIT $10",
        )
        .bind(pattern(self.place.as_str()))
        .bind(self.check_in)
        .bind(self.check_out)
        .bind(self.nights)
        .bind(self.guests)
        .bind(now)
        .bind(currency)
        .bind(total)
        .bind(room_type_id)
        // One more than shown tells whether there is another page.
        .bind(i64::from(page_size) + 1)
        .fetch_all(pool)
        .await
        .map_err(DomainError::doing("searching stays"))
    }
}

/// The pattern of a text that stands anywhere in another one.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern + "%"
}

fn position(token: &PageToken, query: &str) -> Result<Position, PageTokenError> {
    let position: Position = page_token::read(token, query)?;
    // A token may have been written by hand: what PostgreSQL's text cannot hold is no currency of ours.
    let currency = position.0.as_bytes();
    let plain = currency.len() == 3 && currency.iter().all(u8::is_ascii_uppercase);
    if plain { Ok(position) } else { Err(PageTokenError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_only_where_a_page_can_have_ended() {
        let at = |currency: &str, total: &str, room: i32| {
            position(&page_token::write("maldives", &(currency, total, room)), "maldives")
        };
        assert_eq!(at("EUR", "780.00", 101), Ok(("EUR".to_owned(), Decimal::new(78_000, 2), 101)));
        for (currency, total) in [("E\0R", "1"), ("", "1"), ("EUR", "dear")] {
            assert_eq!(at(currency, total, 1), Err(PageTokenError), "{currency} {total}");
        }
    }
}
