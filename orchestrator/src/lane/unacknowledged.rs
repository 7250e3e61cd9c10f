//! The messages of the shard's queue that a lane has taken and not settled: their number tells whether the broker holds
//! more back, and their bytes count toward the memory that this process may use.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use messaging::Delivery;

use crate::starts::admission::Admission;

/// The messages that are not settled.
#[derive(Debug)]
pub(super) struct Unacknowledged {
    admission: Arc<Admission>,
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl Unacknowledged {
    pub(super) fn new(admission: Arc<Admission>) -> Arc<Self> {
        Arc::new(Self { admission, messages: AtomicUsize::new(0), bytes: AtomicUsize::new(0) })
    }

    /// Counts messages that were taken; answers how many are not settled with them.
    pub(super) fn taken(&self, deliveries: &[Delivery]) -> usize {
        let bytes = bytes_of(deliveries.iter());
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.admission.count_bytes(bytes.cast_signed());
        self.messages.fetch_add(deliveries.len(), Ordering::Relaxed) + deliveries.len()
    }

    /// Counts messages that were settled.
    pub(super) fn settled<'a>(&self, deliveries: impl ExactSizeIterator<Item = &'a Delivery>) {
        self.messages.fetch_sub(deliveries.len(), Ordering::Relaxed);
        let bytes = bytes_of(deliveries);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.admission.count_bytes(-bytes.cast_signed());
    }
}

impl Drop for Unacknowledged {
    /// The lane has ended: the broker hands out again what was not settled.
    fn drop(&mut self) {
        self.admission.count_bytes(-self.bytes.get_mut().cast_signed());
    }
}

fn bytes_of<'a>(deliveries: impl Iterator<Item = &'a Delivery>) -> usize {
    deliveries.map(|delivery| delivery.message.body.len()).sum()
}
