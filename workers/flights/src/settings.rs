//! What an operator may choose about flights.

use std::time::Duration;

/// The flights domain's settings.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Settings {
    /// For how many minutes an offer of flights keeps its price.
    #[arg(long, env = "SOJOURN_FLIGHTS_OFFER_MINUTES", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=1440))]
    pub flights_offer_minutes: u16,
    /// For how many minutes seats are held for an order.
    #[arg(long, env = "SOJOURN_FLIGHTS_HOLD_MINUTES", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1440))]
    pub flights_hold_minutes: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { flights_offer_minutes: 30, flights_hold_minutes: 20 }
    }
}

impl Settings {
    /// How long an offer lasts.
    #[must_use]
    pub fn offer_for(&self) -> Duration {
        Duration::from_secs(u64::from(self.flights_offer_minutes) * 60)
    }

    /// How long a hold lasts.
    #[must_use]
    pub fn hold_for(&self) -> Duration {
        Duration::from_secs(u64::from(self.flights_hold_minutes) * 60)
    }
}
