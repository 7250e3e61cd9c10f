//! The reads of offers, for the domains that sell by them: a search prices and seals, and an offer is read again from its
//! id. Neither writes anything.

use std::sync::Arc;

use axum::http::StatusCode;
use chrono::{DateTime, SubsecRound as _, Utc};
use contract::offer::{OfferKind, OfferToken};
use kit::{clock::Clock, http::ApiError};
use serde::Deserialize;
use sqlx::PgPool;

use crate::{
    domain::Resources,
    domain_error::DomainError,
    hold_settings::OfferMinutes,
    offer_keys::{OfferError, OfferKeys},
};

/// The state behind the reads of offers.
#[derive(Clone)]
pub struct OfferReads {
    /// The domain's database.
    pub pool: PgPool,
    /// The clock that prices are made by.
    pub clock: Arc<dyn Clock>,
    /// How long a search's offers last.
    pub offer_for: OfferMinutes,
    /// The keys under which offers are sealed.
    pub keys: OfferKeys,
}

impl OfferReads {
    /// Reads on a domain's own resources; a search's offers last `offer_for`.
    #[must_use]
    pub fn new(resources: &Resources, offer_for: OfferMinutes, keys: OfferKeys) -> Self {
        Self { pool: resources.pool.clone(), clock: Arc::clone(&resources.clock), offer_for, keys }
    }

    /// The end of offers that are made at `now`, in whole seconds, as a seal keeps it.
    #[must_use]
    pub fn expiry(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        (now + self.offer_for.duration()).trunc_subsecs(0)
    }
}

/// The question for one offer: `GET /internal/offer?offer_id`. The id is in the query, which no log shows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
pub struct OfferQuery<K: OfferKind> {
    /// The whole id, as the search gave it out.
    pub offer_id: OfferToken<K>,
}

/// The reason why there is no offer to show.
#[derive(Debug, thiserror::Error)]
pub enum OfferReadError {
    /// The offer is not taken.
    #[error(transparent)]
    Refused(#[from] OfferError),
    /// The offer could not be read.
    #[error(transparent)]
    Failed(#[from] DomainError),
}

impl From<OfferReadError> for ApiError {
    fn from(error: OfferReadError) -> Self {
        let error = match error {
            OfferReadError::Refused(error) => error,
            OfferReadError::Failed(error) => return error.into(),
        };
        let detail = error.to_string();
        match error {
            OfferError::Unknown(_) => Self::not_found("offer_unknown", detail),
            OfferError::Altered(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "offer_altered", "The offer was changed").detail(detail)
            }
            OfferError::Expired(..) => {
                Self::new(StatusCode::GONE, "offer_expired", "The offer's time is over").detail(detail)
            }
        }
    }
}
