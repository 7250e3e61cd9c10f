//! The offers of an order as their domains have them now: the prices that the client accepted, and the day of departure.

use axum::http::StatusCode;
use chrono::NaiveDate;
use contract::{OfferId, Route, accommodation::StayOffer, flights::FlightOffer, order::OrderItem, problem::FieldError};
use futures::future::join_all;
use kit::http::ApiError;

use crate::{
    app::App,
    hop::Hop,
    upstream::{Call, UpstreamError},
};

/// The items of an order at their prices.
#[derive(Debug)]
pub(crate) struct AcceptedOffers {
    pub(crate) items: Vec<OrderItem>,
    /// The first day on which anything of it begins.
    pub(crate) departs_on: NaiveDate,
}

impl AcceptedOffers {
    /// Asks the offers' domains, or tells which of them cannot be had any more, by their places in the body.
    pub(crate) async fn ask(
        app: &App,
        hop: &Hop,
        offers: &[OfferId],
        at: fn(usize) -> String,
    ) -> Result<Self, ApiError> {
        let asked = join_all(offers.iter().map(|offer| price(app, hop, offer))).await;
        let (mut items, mut days, mut failed) = (Vec::new(), Vec::new(), None);
        let (mut unknown, mut altered, mut expired) = (Vec::new(), Vec::new(), Vec::new());
        let place = |index, detail: &str| FieldError { detail: detail.to_owned(), pointer: at(index) };
        for (index, priced) in asked.into_iter().enumerate() {
            match priced {
                Ok(Priced::Item(item, departs_on)) => {
                    items.push(item);
                    days.push(departs_on);
                }
                Ok(Priced::Unknown) => unknown.push(place(index, "is no offer of ours")),
                Ok(Priced::Altered) => altered.push(place(index, "is not as the search gave it out")),
                Ok(Priced::Expired) => expired.push(place(index, "has expired; search again")),
                Err(error) => failed = Some(error),
            }
        }
        if !unknown.is_empty() {
            Err(ApiError::unprocessable("offer_unknown", "the order holds an offer that does not exist", unknown))
        } else if !altered.is_empty() {
            Err(ApiError::unprocessable("offer_altered", "the order holds an offer that was changed", altered))
        } else if !expired.is_empty() {
            Err(ApiError::unprocessable("offer_expired", "the order holds an offer whose time is over", expired))
        } else if let Some(error) = failed {
            Err(error.into())
        } else {
            // An order without an offer was refused as such before.
            let departs_on = days.into_iter().min().unwrap_or_else(|| app.clock.now().date_naive());
            Ok(Self { items, departs_on })
        }
    }
}

/// One offer, as its domain has it now.
enum Priced {
    Item(OrderItem, NaiveDate),
    Unknown,
    Altered,
    Expired,
}

/// Asks the offer's domain for its price.
async fn price(app: &App, hop: &Hop, offer: &OfferId) -> Result<Priced, UpstreamError> {
    let domain = match offer {
        OfferId::Flight(_) => Route::Flights,
        OfferId::Stay(_) => Route::Accommodation,
    };
    // In the query, which no log shows. The letters of an offer need no escape there.
    let path = format!("/internal/{}/offer?offer_id={}", domain.as_str(), offer.as_str());
    let response = app.domain(domain).call(hop, Call::get(path)).await?;
    match response.status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(Priced::Unknown),
        StatusCode::UNPROCESSABLE_ENTITY => return Ok(Priced::Altered),
        StatusCode::GONE => return Ok(Priced::Expired),
        _ => return Err(response.unexpected()),
    }
    let (total, description, departs_on) = match offer {
        OfferId::Flight(_) => {
            let offer: FlightOffer = response.json()?;
            (offer.total, describe_flight(&offer), departs_on(&offer))
        }
        OfferId::Stay(_) => {
            let offer: StayOffer = response.json()?;
            (offer.total, describe_stay(&offer), offer.check_in)
        }
    };
    Ok(Priced::Item(OrderItem { offer_id: offer.clone(), description, total }, departs_on))
}

/// The day of departure at the airport of departure.
fn departs_on(offer: &FlightOffer) -> NaiveDate {
    let local = offer.departs_local.split('T').next().and_then(|date| date.parse().ok());
    local.unwrap_or_else(|| offer.departs_at.date_naive())
}

fn describe_flight(offer: &FlightOffer) -> String {
    let date = offer.departs_local.split('T').next().unwrap_or_default();
    let seats = if offer.passengers == 1 { "seat" } else { "seats" };
    let cabin = offer.cabin.as_str().replace('_', " ");
    format!("{} {} to {}, {date}, {cabin}, {} {seats}", offer.flight_number, offer.from, offer.to, offer.passengers)
}

fn describe_stay(offer: &StayOffer) -> String {
    let guests = if offer.guests == 1 { "guest" } else { "guests" };
    let (from, to) = (offer.check_in, offer.check_out);
    format!("{}, {}, {from} to {to}, {} {guests}", offer.property, offer.room_type, offer.guests)
}
