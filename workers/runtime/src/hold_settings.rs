//! How long an offer keeps its price and a hold keeps its inventory: minutes as operators set them, within bounds that
//! the `order` saga relies on.

use std::{fmt, str::FromStr, time::Duration};

/// The longest offer or hold, in minutes: a day. What is set aside for longer is lost to every other buyer.
const MINUTES_MAX: u16 = 24 * 60;

/// How long an offer keeps its price, in minutes. The default leaves a person half an hour to fill in an order.
pub type OfferMinutes = Minutes<1, 30>;

/// How long a hold lasts, in minutes. The shortest one is what the `order` saga relies on: it gives itself half of it to
/// reach its point of no return and the other half to confirm; a shorter hold could run out in between.
pub type HoldMinutes = Minutes<20, 20>;

/// A number of minutes from `MIN` to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minutes<const MIN: u16, const DEFAULT: u16>(u16);

/// A text that is no number of minutes within the bounds.
#[derive(Debug, thiserror::Error)]
#[error("must be a whole number of minutes from {minutes_min} to {MINUTES_MAX}")]
pub struct MinutesError {
    minutes_min: u16,
}

impl<const MIN: u16, const DEFAULT: u16> Minutes<MIN, DEFAULT> {
    /// The same as a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64 * 60)
    }

    /// The duration of what is to last so many minutes: never shorter than this, and never longer than a day.
    #[must_use]
    pub fn at_least(self, minutes: u16) -> Duration {
        Self(self.0.max(minutes).min(MINUTES_MAX)).duration()
    }
}

impl<const MIN: u16, const DEFAULT: u16> Default for Minutes<MIN, DEFAULT> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<const MIN: u16, const DEFAULT: u16> FromStr for Minutes<MIN, DEFAULT> {
    type Err = MinutesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let minutes = text.parse().ok().filter(|minutes| (MIN..=MINUTES_MAX).contains(minutes));
        minutes.map(Self).ok_or(MinutesError { minutes_min: MIN })
    }
}

impl<const MIN: u16, const DEFAULT: u16> fmt::Display for Minutes<MIN, DEFAULT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_never_shorter_than_an_order_relies_on() {
        let fits = |minutes: &str| minutes.parse::<HoldMinutes>().is_ok();
        assert!(fits("20") && fits("1440"));
        assert!(!fits("19") && !fits("0") && !fits("1441") && !fits("-20") && !fits("soon") && !fits(""));
        assert_eq!(HoldMinutes::default().duration(), Duration::from_secs(1200));
        let minutes = |asked| HoldMinutes::default().at_least(asked).as_secs() / 60;
        assert_eq!((minutes(0), minutes(30), minutes(u16::MAX)), (20, 30, 1440));
    }

    #[test]
    fn an_offer_keeps_its_price_for_a_minute_to_a_day() {
        let fits = |minutes: &str| minutes.parse::<OfferMinutes>().is_ok();
        assert!(fits("1") && fits("1440") && !fits("0") && !fits("1441"));
        assert_eq!(OfferMinutes::default().to_string(), "30");
    }
}
