//! The arrivals of a lane: messages of its shard's queue, starts, the state of the broker, and the clock.

use std::{sync::Arc, time::Duration};

use contract::SagaId;
use futures::FutureExt;
use messaging::{BrokerState, Delivery, Subscription};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{lost::Lost, timers::Timers, unacknowledged::Unacknowledged};
use crate::{shared::Shared, starts::lanes::StartRequest};

/// How long the clock is not heard after a lane begins and after the broker comes back: the replies that waited in the
/// queue meanwhile come first, and a step that was answered in time is not asked again.
const QUIET: Duration = Duration::from_secs(1);

/// How long the clock is not heard while the broker holds messages back: acknowledgments take milliseconds.
const HELD_BACK: Duration = Duration::from_millis(50);

/// The longest sleep. A lane that misses nothing sleeps until something arrives.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Everything that has arrived for one turn.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) deliveries: Vec<Delivery>,
    pub(super) starts: Vec<StartRequest>,
    /// The broker stopped to take commands, or takes them again.
    pub(super) broker: Option<BrokerChange>,
    /// Sagas whose timer is due.
    pub(super) due: Vec<SagaId>,
    /// The moment up to which the clock is heard: all that had arrived by then is in this turn or was in one before.
    pub(super) heard_until: Option<Instant>,
}

impl Gathered {
    /// The number of messages and starts.
    pub(super) const fn inputs(&self) -> usize {
        self.deliveries.len() + self.starts.len()
    }
}

/// A change of the way to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrokerChange {
    /// It takes none. What it has taken is with it.
    TakesNone,
    /// It takes them again after it was blocked.
    TakesAgain,
    /// It is back after it was away: what it had taken may be lost.
    Back,
}

/// The sources of a lane's inputs.
pub(super) struct Inbox {
    shared: Arc<Shared>,
    replies: Subscription,
    unacknowledged: Arc<Unacknowledged>,
    starts: mpsc::Receiver<StartRequest>,
    broker: watch::Receiver<BrokerState>,
    /// As it was seen last.
    state: BrokerState,
    quiet_until: Instant,
}

impl Inbox {
    pub(super) fn new(
        shared: Arc<Shared>,
        replies: Subscription,
        unacknowledged: Arc<Unacknowledged>,
        starts: mpsc::Receiver<StartRequest>,
    ) -> Self {
        let (mut broker, quiet_until) = (shared.broker.state(), Instant::now() + QUIET);
        broker.mark_changed();
        let state = BrokerState::Away;
        Self { shared, replies, unacknowledged, starts, broker, state, quiet_until }
    }

    /// Waits for the first arrival, or until something is due. Nothing is lost when it is dropped while it waits.
    pub(super) async fn wait(&mut self, due: Option<Instant>) -> Result<Gathered, Lost> {
        let mut gathered = Gathered::default();
        let wake_at = self.wake_at(due);
        tokio::select! {
            biased;
            deliveries = self.replies.next_batch(self.shared.settings.limits.batch_inputs_max) => {
                gathered.deliveries = deliveries.ok_or(Lost::BrokerClosed)?;
            }
            Some(start) = self.starts.recv() => gathered.starts.push(start),
            Ok(()) = self.broker.changed() => gathered.broker = Some(self.broker_changed()),
            () = tokio::time::sleep_until(wake_at) => {}
        }
        Ok(gathered)
    }

    /// Adds everything else that is there by now, up to the bound of a turn.
    pub(super) fn take_all(&mut self, mut gathered: Gathered, timers: &mut Timers) -> Result<Gathered, Lost> {
        let inputs_max = self.shared.settings.limits.batch_inputs_max;
        if self.broker.has_changed().unwrap_or(false) {
            gathered.broker = Some(self.broker_changed());
        }
        while gathered.starts.len() < inputs_max
            && let Ok(start) = self.starts.try_recv()
        {
            gathered.starts.push(start);
        }
        let looked_at = Instant::now();
        let room = inputs_max.saturating_sub(gathered.deliveries.len());
        let arrived = if room == 0 { None } else { self.replies.next_batch(room).now_or_never() };
        let drained = room > 0 && arrived.is_none();
        if let Some(deliveries) = arrived {
            gathered.deliveries.extend(deliveries.ok_or(Lost::BrokerClosed)?);
        }
        let unacknowledged = self.unacknowledged.taken(&gathered.deliveries);
        // The broker holds back what is over the prefetch: then an empty buffer says nothing of the queue.
        let held_back = unacknowledged >= usize::from(self.shared.settings.limits.prefetch);
        if held_back {
            self.quiet_until = self.quiet_until.max(looked_at + HELD_BACK);
        }
        if drained && !held_back && self.state == BrokerState::Connected && looked_at >= self.quiet_until {
            gathered.due = timers.take_due(looked_at, inputs_max);
            gathered.heard_until = Some(looked_at);
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

    fn broker_changed(&mut self) -> BrokerChange {
        self.quiet_until = Instant::now() + QUIET;
        let before = std::mem::replace(&mut self.state, *self.broker.borrow_and_update());
        match (before, self.state) {
            (_, BrokerState::Blocked | BrokerState::Away) => BrokerChange::TakesNone,
            (BrokerState::Blocked, BrokerState::Connected) => BrokerChange::TakesAgain,
            // However short a loss was, what was under way may be gone.
            (BrokerState::Connected | BrokerState::Away, BrokerState::Connected) => BrokerChange::Back,
        }
    }

    /// While the broker takes no commands nothing can be answered, so nothing is due.
    fn wake_at(&self, due: Option<Instant>) -> Instant {
        let latest = Instant::now() + SLEEP_MAX;
        match due {
            Some(due) if self.state == BrokerState::Connected => due.max(self.quiet_until).min(latest),
            Some(_) | None => latest,
        }
    }
}
