//! What an operator may choose about stays.

use std::time::Duration;

/// The shortest hold: what the `order` saga relies on. It gives itself half of it to reach its point of no return, and
/// the other half to confirm; a shorter hold could run out in between.
const HOLD_MINUTES_MIN: u16 = 20;

/// The accommodation domain's settings.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Settings {
    /// For how many minutes an offer of a stay keeps its price.
    #[arg(long, env = "SOJOURN_ACCOMMODATION_OFFER_MINUTES", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=1440))]
    pub accommodation_offer_minutes: u16,
    /// For how many minutes rooms are held for an order.
    #[arg(long, env = "SOJOURN_ACCOMMODATION_HOLD_MINUTES", default_value_t = HOLD_MINUTES_MIN, value_parser = clap::value_parser!(u16).range(i64::from(HOLD_MINUTES_MIN)..=1440))]
    pub accommodation_hold_minutes: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { accommodation_offer_minutes: 30, accommodation_hold_minutes: HOLD_MINUTES_MIN }
    }
}

impl Settings {
    /// How long an offer lasts.
    #[must_use]
    pub fn offer_for(&self) -> Duration {
        Duration::from_secs(u64::from(self.accommodation_offer_minutes) * 60)
    }

    /// How long a hold lasts.
    #[must_use]
    pub fn hold_for(&self) -> Duration {
        Duration::from_secs(u64::from(self.accommodation_hold_minutes) * 60)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command};

    use super::*;

    #[test]
    fn a_hold_is_never_shorter_than_an_order_relies_on() {
        let fits = |minutes: &str| {
            let command = Settings::augment_args(Command::new("worker"));
            command.try_get_matches_from(["worker", "--accommodation-hold-minutes", minutes]).is_ok()
        };
        assert!(fits("20") && fits("1440"));
        assert!(!fits("19") && !fits("0") && !fits("1441"));
    }
}
