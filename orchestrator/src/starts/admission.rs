//! The bound of the work that is taken in. An accepted start is never dropped, so the only place to refuse one is here.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use messaging::BrokerState;
use tokio::sync::watch;

use crate::settings::Limits;

/// Counts what is under way in this process.
#[derive(Debug)]
pub(crate) struct Admission {
    busy_max: usize,
    bytes_max: usize,
    unpublished_max: usize,
    /// Sagas of owned shards that have a command under way.
    busy: AtomicUsize,
    /// The bytes of these sagas, of starts before their answer, and of messages that lanes have taken and not settled.
    bytes: AtomicUsize,
    /// Starts between their admission and their answer.
    queued: AtomicUsize,
    /// Commands that wait for a broker to take them.
    unpublished: AtomicUsize,
    broker: watch::Receiver<BrokerState>,
    draining: AtomicBool,
}

/// The reason why a start was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// Too many unfinished sagas.
    OpenSagas,
    /// The unfinished sagas and what they are told take too much memory.
    Bytes,
    /// Too many commands that the broker has not taken.
    Unpublished,
    /// The broker takes no commands. One that is away is back in seconds, and the journal is the outbox meanwhile; one
    /// that is blocked is overrun, and further work is what it lacks least.
    Blocked,
    /// The process is about to end.
    Draining,
}

impl NotAdmitted {
    /// The reason in words for people.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::OpenSagas => "too many sagas are unfinished",
            Self::Bytes => "the unfinished sagas take too much memory",
            Self::Unpublished => "the broker does not take commands",
            Self::Blocked => "the broker is blocked",
            Self::Draining => "this orchestrator is stopping",
        }
    }
}

/// One admitted start, until it is answered.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    bytes: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.queued.fetch_sub(1, Ordering::Relaxed);
        self.admission.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Admission {
    pub(crate) fn new(limits: &Limits, broker: watch::Receiver<BrokerState>) -> Arc<Self> {
        Arc::new(Self {
            busy_max: limits.open_sagas_max,
            bytes_max: limits.open_bytes_max,
            unpublished_max: limits.unpublished_max,
            busy: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
            unpublished: AtomicUsize::new(0),
            broker,
            draining: AtomicBool::new(false),
        })
    }

    /// Admits one start of a saga of so many bytes, or says why not.
    pub(crate) fn enter(self: &Arc<Self>, bytes: usize) -> Result<Permit, NotAdmitted> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(NotAdmitted::Draining);
        }
        if *self.broker.borrow() == BrokerState::Blocked {
            return Err(NotAdmitted::Blocked);
        }
        if self.unpublished.load(Ordering::Relaxed) >= self.unpublished_max {
            return Err(NotAdmitted::Unpublished);
        }
        // Counted first, so that many at once cannot all pass the last free place.
        let permit = Permit { admission: Arc::clone(self), bytes };
        let bytes_before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let queued_before = self.queued.fetch_add(1, Ordering::Relaxed);
        if self.busy.load(Ordering::Relaxed) + queued_before >= self.busy_max {
            return Err(NotAdmitted::OpenSagas);
        }
        if bytes_before >= self.bytes_max {
            return Err(NotAdmitted::Bytes);
        }
        Ok(permit)
    }

    /// The reason why no start would be admitted now, if there is one.
    pub(crate) fn refuses(self: &Arc<Self>) -> Option<NotAdmitted> {
        self.enter(0).err()
    }

    /// No further start is admitted.
    pub(crate) fn close(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// A lane holds so many more sagas with a command under way, or fewer.
    pub(crate) fn count_busy(&self, change: isize) {
        add(&self.busy, change);
    }

    /// A lane holds so many more bytes of such sagas or of messages for them, or fewer.
    pub(crate) fn count_bytes(&self, change: isize) {
        add(&self.bytes, change);
    }

    /// A lane holds so many more unpublished commands, or fewer.
    pub(crate) fn count_unpublished(&self, change: isize) {
        add(&self.unpublished, change);
    }
}

fn add(counter: &AtomicUsize, change: isize) {
    if change >= 0 {
        counter.fetch_add(change.unsigned_abs(), Ordering::Relaxed);
    } else {
        counter.fetch_sub(change.unsigned_abs(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(open_sagas_max: usize, unpublished_max: usize) -> (Arc<Admission>, watch::Sender<BrokerState>) {
        let (broker, state) = watch::channel(BrokerState::Connected);
        let limits = Limits { open_sagas_max, unpublished_max, open_bytes_max: 1_000, ..Limits::default() };
        (Admission::new(&limits, state), broker)
    }

    #[test]
    fn a_few_large_sagas_close_the_door_as_many_small_ones_do() {
        let (admission, _broker) = admission(100, 10);
        admission.count_bytes(400);
        let large = admission.enter(600).unwrap();
        assert_eq!(admission.enter(1).unwrap_err(), NotAdmitted::Bytes);
        drop(large);
        assert!(admission.enter(1).is_ok());
        admission.count_bytes(600);
        assert_eq!(admission.enter(1).unwrap_err(), NotAdmitted::Bytes);
        admission.count_bytes(-1_000);
        assert!(admission.enter(1).is_ok());
    }

    #[test]
    fn the_last_free_place_is_given_once_and_comes_back() {
        let (admission, _broker) = admission(2, 10);
        admission.count_busy(1);
        let first = admission.enter(1).unwrap();
        assert_eq!(admission.enter(1).unwrap_err(), NotAdmitted::OpenSagas);
        drop(first);
        assert!(admission.enter(1).is_ok());
        admission.count_busy(1);
        assert_eq!(admission.enter(1).unwrap_err(), NotAdmitted::OpenSagas);
        admission.count_busy(-2);
        assert!(admission.enter(1).is_ok());
    }

    #[test]
    fn a_broker_that_takes_nothing_and_a_coming_end_close_the_door() {
        let (admission, broker) = admission(10, 1);
        admission.count_unpublished(1);
        assert_eq!(admission.enter(1).unwrap_err(), NotAdmitted::Unpublished);
        admission.count_unpublished(-1);
        assert!(admission.enter(1).is_ok());
        broker.send_replace(BrokerState::Blocked);
        assert_eq!(admission.enter(1).unwrap_err(), NotAdmitted::Blocked);
        broker.send_replace(BrokerState::Away);
        assert!(admission.enter(1).is_ok());
        admission.close();
        assert_eq!(admission.enter(1).unwrap_err(), NotAdmitted::Draining);
    }
}
