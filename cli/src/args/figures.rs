//! The flags of `sagactl throughput`.

use clap::Args;
use contract::orchestrator_api::THROUGHPUT_MINUTES_MAX;

/// The time that is shown unless told otherwise.
const MINUTES_DEFAULT: u32 = 60;

/// The intervals that are shown unless told otherwise: what fits on a line beside the numbers.
const INTERVALS_DEFAULT: u32 = 60;

#[derive(Debug, Args)]
pub(crate) struct Throughput {
    /// The time that is shown, up to now; a day at most
    #[arg(long, default_value_t = MINUTES_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(THROUGHPUT_MINUTES_MAX)))]
    pub(crate) minutes: u32,
    /// The length of an interval; a sixtieth of the time when absent
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(THROUGHPUT_MINUTES_MAX)))]
    step_minutes: Option<u32>,
}

impl Throughput {
    /// The length of an interval.
    pub(crate) fn step_minutes(&self) -> u32 {
        self.step_minutes.unwrap_or_else(|| self.minutes.div_ceil(INTERVALS_DEFAULT))
    }
}
