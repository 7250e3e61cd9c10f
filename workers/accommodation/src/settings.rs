//! The settings of the accommodation domain.

use worker_runtime::{HoldMinutes, OfferMinutes};

/// How long prices and rooms are kept.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Settings {
    /// For how many minutes an offer of a stay keeps its price.
    #[arg(long, env = "SOJOURN_ACCOMMODATION_OFFER_MINUTES", default_value_t)]
    pub accommodation_offer_minutes: OfferMinutes,
    /// For how many minutes rooms are held for an order.
    #[arg(long, env = "SOJOURN_ACCOMMODATION_HOLD_MINUTES", default_value_t)]
    pub accommodation_hold_minutes: HoldMinutes,
}
