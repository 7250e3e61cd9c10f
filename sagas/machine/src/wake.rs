//! The time that a step waits for.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::retry::{divided, later};

/// The last time that can be waited for, in seconds of Unix time: the end of the year 9999, the last that a journal holds.
const LATEST_SECONDS: i64 = 253_402_214_400;

/// The time that a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// A time of the calendar.
    At(DateTime<Utc>),
    /// So long after the step is reached.
    After(Duration),
}

impl Wake {
    /// The time itself, for a step that is reached now. Waits are so many times as short as `divisor` says.
    pub(crate) fn time(self, now: DateTime<Utc>, divisor: u32) -> DateTime<Utc> {
        match self {
            Self::At(at) => storable(at),
            Self::After(wait) if divisor == 1 => storable(later(now, wait)),
            Self::After(wait) => storable(later(now, divided(wait, divisor))),
        }
    }
}

/// The time, or the nearest one that a journal can hold.
pub(crate) fn storable(at: DateTime<Utc>) -> DateTime<Utc> {
    let latest = DateTime::UNIX_EPOCH + TimeDelta::seconds(LATEST_SECONDS);
    at.clamp(DateTime::UNIX_EPOCH, latest)
}
