//! What an operator may choose about stays.

use std::time::Duration;

/// The accommodation domain's settings.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Settings {
    /// For how many minutes an offer of a stay keeps its price.
    #[arg(long, env = "SOJOURN_STAYS_OFFER_MINUTES", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=1440))]
    pub stays_offer_minutes: u16,
    /// For how many minutes rooms are held for an order.
    #[arg(long, env = "SOJOURN_STAYS_HOLD_MINUTES", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1440))]
    pub stays_hold_minutes: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { stays_offer_minutes: 30, stays_hold_minutes: 20 }
    }
}

impl Settings {
    /// How long an offer lasts.
    #[must_use]
    pub fn offer_for(&self) -> Duration {
        Duration::from_secs(u64::from(self.stays_offer_minutes) * 60)
    }

    /// How long a hold lasts.
    #[must_use]
    pub fn hold_for(&self) -> Duration {
        Duration::from_secs(u64::from(self.stays_hold_minutes) * 60)
    }
}
