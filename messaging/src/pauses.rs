//! The pauses between attempts to reach the broker.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// The first pause: a broker that only dropped the connection is there at once.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause: what a client adds, at worst, to the outage itself.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(3);

/// Endless, growing, jittered pauses, so that a hundred clients do not come back at the same instant.
pub(crate) fn pauses() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(PAUSE_MIN)
        .with_max_delay(PAUSE_MAX)
        .with_jitter()
        .without_max_times()
        .build()
}
