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
