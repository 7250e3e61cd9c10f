//! Offers, for the domains that sell by them: an offer is a price that its domain remembers until an hour, so that no
//! client's total has to be believed (S25).

use std::{fmt::Display, sync::Arc};

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use kit::{clock::Clock, http::ApiError};
use sqlx::PgPool;

use crate::{domain::Resources, domain_error::DomainError, hold_settings::OfferMinutes};

/// The state behind the reads of offers.
#[derive(Clone)]
pub struct OfferReads {
    /// The domain's database.
    pub pool: PgPool,
    /// The clock that prices are made by.
    pub clock: Arc<dyn Clock>,
    /// How long a search's offers last.
    pub offer_for: OfferMinutes,
}

impl OfferReads {
    /// Reads on a domain's own resources; a search's offers last `offer_for`.
    #[must_use]
    pub fn new(resources: &Resources, offer_for: OfferMinutes) -> Self {
        Self { pool: resources.pool.clone(), clock: Arc::clone(&resources.clock), offer_for }
    }

    /// The times of an offer that is made or read now.
    #[must_use]
    pub fn times(&self) -> OfferTimes {
        let now = self.clock.now();
        OfferTimes { now, expires_at: now + self.offer_for.duration() }
    }
}

/// The times that making an offer needs.
#[derive(Debug, Clone, Copy)]
pub struct OfferTimes {
    /// The moment of the search.
    pub now: DateTime<Utc>,
    /// The end of the offers that it makes.
    pub expires_at: DateTime<Utc>,
}

/// The reason why there is no offer to show.
#[derive(Debug, thiserror::Error)]
pub enum OfferError<Id: Display> {
    /// The offer was never made, or is long gone.
    #[error("there is no offer {0}")]
    Unknown(Id),
    /// The offer's time is over.
    #[error("the offer {0} was valid until {1}")]
    Expired(Id, DateTime<Utc>),
    /// The offer could not be read.
    #[error(transparent)]
    Failed(#[from] DomainError),
}

impl<Id: Display> From<OfferError<Id>> for ApiError {
    fn from(error: OfferError<Id>) -> Self {
        let detail = error.to_string();
        match error {
            OfferError::Unknown(_) => Self::not_found("offer_unknown", detail),
            OfferError::Expired(..) => {
                Self::new(StatusCode::GONE, "offer_expired", "The offer's time is over").detail(detail)
            }
            OfferError::Failed(error) => error.into(),
        }
    }
}
