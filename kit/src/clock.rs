//! The one place where time enters a program. Everything else takes it as a parameter.

use std::{fs, path::PathBuf, sync::Arc};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now, to the microsecond: what PostgreSQL keeps, so that a time reads back equal.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one legal call")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}

/// The machine's clock as a test sets it: shifted by the seconds that a file holds, which may change at any time. A file
/// that is missing or no number shifts nothing.
#[derive(Debug, Clone)]
pub struct ShiftedClock {
    /// The file that holds the seconds.
    pub file: PathBuf,
}

impl Clock for ShiftedClock {
    fn now(&self) -> DateTime<Utc> {
        let seconds = fs::read_to_string(&self.file).ok().and_then(|text| text.trim().parse().ok());
        SystemClock.now() + seconds.and_then(TimeDelta::try_seconds).unwrap_or_default()
    }
}

/// The machine's clock, to share.
#[must_use]
pub fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_tells_no_more_than_a_database_keeps() {
        assert_eq!(SystemClock.now().timestamp_subsec_nanos() % 1000, 0);
    }

    #[test]
    fn a_shifted_clock_is_set_by_its_file() {
        let file = std::env::temp_dir().join(format!("sojourn-clock-{}", crate::ids::uuid_random()));
        let clock = ShiftedClock { file: file.clone() };
        let ahead = || (clock.now() - SystemClock.now() + TimeDelta::seconds(1)).num_minutes();
        assert_eq!(ahead(), 0);
        fs::write(&file, "600\n").unwrap();
        assert_eq!(ahead(), 10);
        fs::write(&file, "nonsense").unwrap();
        assert_eq!(ahead(), 0);
        fs::remove_file(file).unwrap();
    }
}
