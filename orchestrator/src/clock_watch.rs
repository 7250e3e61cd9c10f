//! The watch over the wall clock. One that is set turns no saga around and leaves none hanging, because lanes keep their
//! timers on the monotonic clock and a saga's own clock stands over the step; but people must hear of it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use kit::clock::Clock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::names;

/// Often enough for an alarm, seldom enough to cost nothing.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The smallest step that is told: time synchronization slews what is less.
const STEP_MIN: TimeDelta = TimeDelta::seconds(2);

/// Tells of every step of the wall clock, until `stop`.
pub(crate) async fn watch(clock: Arc<dyn Clock>, stop: CancellationToken) {
    let read = || (clock.now(), Instant::now());
    let mut before = read();
    while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
        let now = read();
        if let Some(step) = step(before, now) {
            let direction = if step > TimeDelta::zero() { "forward" } else { "back" };
            metrics::counter!(names::CLOCK_STEPS, "direction" => direction).increment(1);
            tracing::error!(seconds = step.num_seconds(), "the wall clock was set {direction}");
        }
        before = now;
    }
}

/// The step of the wall clock between two looks at both clocks.
fn step(before: (DateTime<Utc>, Instant), now: (DateTime<Utc>, Instant)) -> Option<TimeDelta> {
    let passed = TimeDelta::from_std(now.1 - before.1).unwrap_or(TimeDelta::MAX);
    let step = (now.0 - before.0) - passed;
    (step.abs() >= STEP_MIN).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_and_one_that_drifts_is_not() {
        let begin = (DateTime::UNIX_EPOCH, Instant::now());
        let later = |wall_ms: i64| (begin.0 + TimeDelta::milliseconds(wall_ms), begin.1 + LOOK_EVERY);
        assert_eq!(step(begin, later(5_000)), None);
        assert_eq!(step(begin, later(6_500)), None);
        assert_eq!(step(begin, later(605_000)), Some(TimeDelta::minutes(10)));
        assert_eq!(step(begin, later(-595_000)), Some(TimeDelta::minutes(-10)));
    }
}
