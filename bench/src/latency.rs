//! The figures of one closed-loop run.

use std::time::Duration;

/// The latencies and the rate of one run of `in_flight` concurrent loops.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) completed: usize,
    pub(crate) elapsed: Duration,
    latencies: Vec<Duration>,
}

impl Run {
    pub(crate) fn new(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        Self { completed: latencies.len(), elapsed, latencies }
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.completed as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency below which the given share of sagas ended, in milliseconds.
    pub(crate) fn percentile_ms(&self, share: f64) -> f64 {
        let place = ((self.latencies.len() as f64 * share).ceil() as usize).clamp(1, self.latencies.len().max(1)) - 1;
        self.latencies.get(place).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    }
}

/// The middle value; the mean of the two middle ones of an even number.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_medians_are_the_textbooks() {
        let run = Run::new((1..=100).map(Duration::from_millis).collect(), Duration::from_secs(2));
        assert_eq!((run.per_second(), run.percentile_ms(0.5), run.percentile_ms(0.99)), (50.0, 50.0, 99.0));
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
