//! The settings of the flights domain.

use worker_runtime::{HoldMinutes, OfferMinutes};

/// How long prices and seats are kept.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Settings {
    /// For how many minutes an offer of flights keeps its price.
    #[arg(long, env = "SOJOURN_FLIGHTS_OFFER_MINUTES", default_value_t)]
    pub flights_offer_minutes: OfferMinutes,
    /// For how many minutes seats are held for an order.
    #[arg(long, env = "SOJOURN_FLIGHTS_HOLD_MINUTES", default_value_t)]
    pub flights_hold_minutes: HoldMinutes,
}
