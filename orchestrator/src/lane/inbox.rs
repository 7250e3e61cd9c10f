//! The arrivals of a lane: messages of its shard's queue, starts, and the clock.

use std::{sync::Arc, time::Duration};

use contract::SagaId;
use futures::FutureExt;
use messaging::{BrokerState, Delivery, Subscription};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{lost::Lost, timers::Timers};
use crate::{shared::Shared, starts::lanes::StartRequest};

/// How long the clock is not heard after a lane begins and after the broker comes back: the replies that waited in the
/// queue meanwhile come first, and a step that was answered in time is not asked again.
const QUIET: Duration = Duration::from_secs(1);

/// The longest sleep. A wall clock that is set forward is noticed within it.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Everything that has arrived for one turn.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) deliveries: Vec<Delivery>,
    pub(super) starts: Vec<StartRequest>,
    /// Sagas whose timer is due.
    pub(super) due: Vec<SagaId>,
}

/// The sources of a lane's inputs.
pub(super) struct Inbox {
    shared: Arc<Shared>,
    replies: Subscription,
    starts: mpsc::Receiver<StartRequest>,
    broker: watch::Receiver<BrokerState>,
    quiet_until: Instant,
}

impl Inbox {
    pub(super) fn new(shared: Arc<Shared>, replies: Subscription, starts: mpsc::Receiver<StartRequest>) -> Self {
        let (broker, quiet_until) = (shared.broker.state(), Instant::now() + QUIET);
        Self { shared, replies, starts, broker, quiet_until }
    }

    /// Waits for the first arrival, or until a timer is due. Nothing is lost when it is dropped while it waits.
    pub(super) async fn wait(&mut self, timers: &Timers) -> Result<Gathered, Lost> {
        let mut gathered = Gathered::default();
        let wake_in = self.wake_in(timers);
        tokio::select! {
            biased;
            deliveries = self.replies.next_batch(self.shared.settings.limits.batch_inputs_max) => {
                gathered.deliveries = deliveries.ok_or(Lost::BrokerClosed)?;
            }
            Some(start) = self.starts.recv() => gathered.starts.push(start),
            Ok(()) = self.broker.changed() => self.quiet_until = Instant::now() + QUIET,
            () = tokio::time::sleep(wake_in) => {}
        }
        Ok(gathered)
    }

    /// Adds everything else that is there by now, up to the bound of a turn.
    pub(super) fn take_all(&mut self, mut gathered: Gathered, timers: &mut Timers) -> Result<Gathered, Lost> {
        let inputs_max = self.shared.settings.limits.batch_inputs_max;
        if gathered.deliveries.is_empty() {
            gathered.deliveries = match self.replies.next_batch(inputs_max).now_or_never() {
                Some(deliveries) => deliveries.ok_or(Lost::BrokerClosed)?,
                None => Vec::new(),
            };
        }
        while gathered.starts.len() < inputs_max
            && let Ok(start) = self.starts.try_recv()
        {
            gathered.starts.push(start);
        }
        if self.clock_is_heard() {
            gathered.due = timers.take_due(self.shared.clock.now(), inputs_max);
        }
        Ok(gathered)
    }

    /// No further start is taken in; the queued ones can still be taken.
    pub(super) fn close_starts(&mut self) {
        self.starts.close();
    }

    /// All queued starts, and nothing else.
    pub(super) fn take_starts(&mut self) -> Gathered {
        let mut gathered = Gathered::default();
        while let Ok(start) = self.starts.try_recv() {
            gathered.starts.push(start);
        }
        gathered
    }

    /// Gives unacknowledged deliveries back to the queue.
    pub(super) async fn cancel(self) {
        self.replies.cancel().await;
    }

    /// Whether due timers count now. While the broker takes no commands nothing can be answered, so nothing is overdue.
    fn clock_is_heard(&mut self) -> bool {
        if self.broker.has_changed().unwrap_or(false) {
            self.broker.mark_unchanged();
            self.quiet_until = Instant::now() + QUIET;
        }
        *self.broker.borrow() == BrokerState::Connected && Instant::now() >= self.quiet_until
    }

    fn wake_in(&self, timers: &Timers) -> Duration {
        if *self.broker.borrow() != BrokerState::Connected {
            return SLEEP_MAX;
        }
        let Some(due) = timers.next() else { return SLEEP_MAX };
        let due_in = (due - self.shared.clock.now()).to_std().unwrap_or(Duration::ZERO);
        due_in.max(self.quiet_until.saturating_duration_since(Instant::now())).min(SLEEP_MAX)
    }
}
