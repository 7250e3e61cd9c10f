//! The pace of a lane: whether it lets more inputs come before it commits, because its turns follow each other without a
//! pause. The rule is [`kit::gather`]'s; in here its load is measured.

use std::time::Duration;

use kit::gather::{Load, wait_for_more};

/// The pace of one lane.
#[derive(Debug, Default)]
pub(super) struct Pace {
    load: Load,
    /// The time for which inputs were waited for since the last turn that had any.
    waited: Duration,
}

impl Pace {
    /// The lane had nothing to do for so long.
    pub(super) fn waited(&mut self, waited: Duration) {
        self.waited += waited;
    }

    /// How long more inputs are waited for, when `taken` are there of at most `inputs_max`; zero for a lane that is not
    /// saturated.
    pub(super) fn wait_for_more(&self, taken: usize, inputs_max: usize) -> Duration {
        if taken == 0 { Duration::ZERO } else { wait_for_more(self.load, taken, inputs_max) }
    }

    /// The lane was at work on so many inputs for so long. A turn without inputs, such as one of timers, tells nothing of
    /// the load.
    pub(super) fn worked(&mut self, inputs: usize, worked: Duration) {
        if inputs > 0 {
            self.load = self.load.after(inputs, std::mem::take(&mut self.waited), worked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A lane after many equal turns of 6 ms, each with a wait of its own before it.
    fn steady(inputs: usize, waited_ms: u64) -> Pace {
        let mut pace = Pace::default();
        for _ in 0..50 {
            pace.waited(ms(waited_ms));
            pace.worked(inputs, ms(6));
        }
        pace
    }

    #[test]
    fn a_lane_whose_turns_follow_each_other_lets_more_come_and_one_that_rests_does_not() {
        assert!(steady(8, 0).wait_for_more(8, 512) > ms(2));
        assert_eq!(steady(8, 6).wait_for_more(8, 512), Duration::ZERO);
        assert_eq!(steady(1, 0).wait_for_more(1, 512), Duration::ZERO, "one saga in flight is never held up");
    }

    #[test]
    fn a_full_batch_and_a_turn_of_timers_wait_for_nothing() {
        let busy = steady(512, 0);
        assert_eq!(busy.wait_for_more(512, 512), Duration::ZERO);
        assert_eq!(busy.wait_for_more(0, 512), Duration::ZERO);
    }

    #[test]
    fn waits_around_turns_without_inputs_count_as_rest() {
        let mut pace = steady(8, 0);
        for _ in 0..50 {
            pace.waited(ms(3));
            pace.worked(0, ms(1));
            pace.waited(ms(3));
            pace.worked(8, ms(6));
        }
        assert_eq!(pace.wait_for_more(8, 512), Duration::ZERO);
    }
}
