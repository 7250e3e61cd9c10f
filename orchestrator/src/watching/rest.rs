//! Waiting for a saga to come to rest, for callers who would rather wait than ask again.

use std::time::Duration;

use contract::saga::SagaStatus;
use journal::Door;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::watchers::{Waiting, is_at_rest};
use crate::shared::Shared;

/// The longest wait, the start itself included: below the time limit of every server and proxy in between, with time left
/// for a last look.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(25);

/// The saga's shard may move to another process, which tells this one nothing: look by oneself so often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long one look may take. The start is done: a journal that does not answer must not make a failure of it.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// The status of the saga when it has come to rest, at the time `until`, or when this process stops; `None` when that
/// cannot be found out. A saga that was just started here (`fresh`) needs no first look.
pub(crate) async fn wait_for_rest(
    shared: &Shared,
    mut waiting: Waiting,
    fresh: bool,
    until: Instant,
    stop: &CancellationToken,
) -> Option<SagaStatus> {
    if !fresh && let Some(status) = look(shared, &waiting).await.filter(|status| is_at_rest(*status)) {
        return Some(status);
    }
    loop {
        let next_look = until.min(Instant::now() + LOOK_EVERY);
        tokio::select! {
            status = waiting.at_rest() => return Some(status),
            () = tokio::time::sleep_until(next_look) => {}
            () = stop.cancelled() => {}
        }
        let status = look(shared, &waiting).await;
        if status.is_some_and(is_at_rest) || Instant::now() >= until || stop.is_cancelled() {
            return status;
        }
    }
}

async fn look(shared: &Shared, waiting: &Waiting) -> Option<SagaStatus> {
    // The row alone: no record has such a number.
    let read = shared.journal.read(Door::Reads, waiting.saga(), u64::MAX);
    let stored = tokio::time::timeout(LOOK_TIMEOUT, read).await.ok()?.ok()??;
    Some(stored.row.status)
}
