//! Whether a station that takes work in batches waits a moment for a fuller one. Pure.
//!
//! A batch has a price of its own (a commit, its frames, its wake-ups) beside that of its members. A station that is at
//! work nearly all the time pays it more often than it has to: while it waits a few milliseconds its next batch fills up,
//! and everybody is served sooner. A station that is idle in between serves nobody sooner by waiting, and never waits.

use std::time::Duration;

/// The longest wait: about what a commit costs.
const WAIT_MAX: Duration = Duration::from_millis(4);

/// From this share of its time at work on a station is saturated.
const SATURATED_SHARE: f64 = 0.75;

/// Below so many members a batch, waiting gathers too little to pay.
const MEMBERS_MIN: f64 = 2.0;

/// How much the latest batch counts against all before it: a load that changes is noticed within a few batches.
const LATEST_SHARE: f64 = 0.25;

/// The load of one station, as its latest batches tell.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Load {
    /// The share of its time that it is at work.
    busy_share: f64,
    /// The members of a batch.
    members: f64,
    /// The time that a batch takes, in seconds.
    work_seconds: f64,
}

impl Load {
    /// The load after one more batch, whose first member was waited for, and which was then worked at, for so long. The time
    /// in which it was gathered is neither.
    #[must_use]
    pub fn after(self, members: usize, waited: Duration, worked: Duration) -> Self {
        let (waited, worked) = (waited.as_secs_f64(), worked.as_secs_f64());
        let busy_share = if worked > 0.0 { worked / (waited + worked) } else { 0.0 };
        let members = f64::from(u32::try_from(members).unwrap_or(u32::MAX));
        let mean = |before: f64, latest: f64| before + (latest - before) * LATEST_SHARE;
        Self {
            busy_share: mean(self.busy_share, busy_share),
            members: mean(self.members, members),
            work_seconds: mean(self.work_seconds, worked),
        }
    }
}

/// For how long a station under this load waits for a fuller batch when it has taken `taken` members of at most
/// `members_max`; zero for one that is not saturated. Never longer than half of what a batch takes.
#[must_use]
pub fn wait_for_more(load: Load, taken: usize, members_max: usize) -> Duration {
    let saturated = load.busy_share >= SATURATED_SHARE && load.members >= MEMBERS_MIN;
    if saturated && taken < members_max {
        WAIT_MAX.min(Duration::from_secs_f64(load.work_seconds / 2.0))
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The load after many equal batches.
    fn steady(members: usize, waited_ms: u64, worked_ms: u64) -> Load {
        let batch =
            |load: Load, _| load.after(members, Duration::from_millis(waited_ms), Duration::from_millis(worked_ms));
        (0..50).fold(Load::default(), batch)
    }

    #[test]
    fn an_idle_station_never_waits() {
        assert_eq!(wait_for_more(Load::default(), 1, 128), Duration::ZERO);
        assert_eq!(wait_for_more(steady(20, 15, 5), 20, 128), Duration::ZERO);
        // One in flight: busy or not, there is nobody to wait for.
        assert_eq!(wait_for_more(steady(1, 0, 2), 1, 128), Duration::ZERO);
    }

    #[test]
    fn a_saturated_station_waits_a_few_milliseconds_unless_its_batch_is_full() {
        assert_eq!(wait_for_more(steady(8, 0, 20), 8, 128), WAIT_MAX);
        assert_eq!(wait_for_more(steady(128, 0, 20), 128, 128), Duration::ZERO);
    }

    #[test]
    fn a_station_waits_no_longer_than_half_a_batch_takes() {
        let wait = wait_for_more(steady(4, 0, 3), 4, 128);
        assert!(wait > Duration::from_micros(1_400) && wait < Duration::from_micros(1_600), "{wait:?}");
    }

    #[test]
    fn a_burst_alone_saturates_nobody_and_a_lasting_load_does_within_a_few_batches() {
        let batch = |load: Load| load.after(30, Duration::ZERO, Duration::from_millis(10));
        let first = batch(steady(1, 20, 2));
        assert_eq!(wait_for_more(first, 30, 128), Duration::ZERO);
        let after_some = (0..6).fold(first, |load, _| batch(load));
        assert!(wait_for_more(after_some, 30, 128) > Duration::ZERO);
    }
}
