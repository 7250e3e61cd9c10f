//! The ownership of shards. One supervisor a shard waits for its ownership, runs its lane, and begins again
//! when the lane ends; the balancer gives away what is more than a fair share.
//!
//! ```text
//!  journal.lane(shard) --owned--> lane --ends: released | lost--> queue for the shard again
//!                                  ^ release
//!  balancer: owned > this process's share, for a while
//! ```

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    lane::{self, LaneEnd},
    maintenance, names,
    shared::Shared,
};

/// How long the numbers must call for giving a shard away: a process that restarts should find its shards again.
const SURPLUS_FOR: Duration = Duration::from_millis(500);

/// Between attempts to own a shard when the journal does not answer.
const AGAIN_MIN: Duration = Duration::from_millis(100);
/// The longest pause between them, and so how late a returning journal may be noticed.
const AGAIN_MAX: Duration = Duration::from_secs(2);

/// A lane that broke sooner than this is likely to break again at once, as on a full disk: the pauses before the next
/// ones grow, up to [`BROKEN_AGAIN_MAX`]. Each costs its deliveries one of their limited handings-out.
const LIVED_WELL: Duration = Duration::from_secs(30);
/// The longest pause after a lane that broke: with it the delivery limit outlasts minutes.
const BROKEN_AGAIN_MAX: Duration = Duration::from_secs(15);

/// Serves one shard whenever this process owns it, until `stop`.
pub(crate) async fn supervise(shared: Arc<Shared>, shard: u16, stop: CancellationToken) {
    let mut pause = AGAIN_MIN;
    let mut broken_pause = AGAIN_MIN;
    while !stop.is_cancelled() {
        let Some(owned) = stop.run_until_cancelled(shared.journal.lane(shard)).await else { return };
        let session = match owned {
            Ok(session) => session,
            Err(error) => {
                let error = kit::settings::error_chain(&error);
                tracing::warn!(shard, error, "the shard cannot be owned now");
                stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                pause = (pause * 2).min(AGAIN_MAX);
                maintenance::await_journal(&shared, &stop).await;
                continue;
            }
        };
        pause = AGAIN_MIN;
        let since = Instant::now();
        tracing::info!(shard, "the shard is owned");
        let lane = AssertUnwindSafe(lane::run(Arc::clone(&shared), session, stop.child_token()));
        // A bug that panics past the machine's guard costs this lane's memory, not the shard.
        let ended = lane.catch_unwind().await.unwrap_or_else(|_| LaneEnd::Lost {
            reason: "panicked",
            detail: "a bug; the panic's text stands above".to_owned(),
        });
        match ended {
            LaneEnd::Released => tracing::info!(shard, "the shard is given up"),
            LaneEnd::Lost { reason, detail } => {
                metrics::counter!(names::LANES_LOST, "reason" => reason).increment(1);
                tracing::warn!(shard, reason, detail, "the lane ends; its sagas are loaded again by the next owner");
                if since.elapsed() >= LIVED_WELL {
                    broken_pause = AGAIN_MIN;
                }
                stop.run_until_cancelled(tokio::time::sleep(broken_pause)).await;
                broken_pause = (broken_pause * 2).min(BROKEN_AGAIN_MAX);
                maintenance::await_journal(&shared, &stop).await;
            }
        }
    }
}

/// Gives surplus shards away whenever processes join, until `stop`.
pub(crate) async fn balance(shared: Arc<Shared>, stop: CancellationToken) {
    let mut membership = shared.journal.membership();
    let mut owned = shared.lanes.owned();
    let watch = async {
        loop {
            let fair = membership.borrow_and_update().share_of(shared.shards);
            let surplus = owned.borrow_and_update().saturating_sub(fair);
            let changed = async {
                tokio::select! {
                    changed = membership.changed() => changed,
                    changed = owned.changed() => changed,
                }
            };
            if surplus == 0 {
                if changed.await.is_err() {
                    return;
                }
            } else if tokio::time::timeout(SURPLUS_FOR, changed).await.is_err() {
                let shards = shared.lanes.release(surplus);
                tracing::info!(?shards, fair, "giving surplus shards away");
                if owned.changed().await.is_err() {
                    return;
                }
            }
        }
    };
    stop.run_until_cancelled(watch).await;
}

/// Tells readiness whether any shard is owned, until `stop`.
pub(crate) async fn report(shared: Arc<Shared>, stop: CancellationToken) {
    let mut owned = shared.lanes.owned();
    let watch = async {
        loop {
            let state = if *owned.borrow_and_update() > 0 {
                Ok(())
            } else {
                Err("this orchestrator owns no shard yet".to_owned())
            };
            shared.readiness.set(names::NEED_SHARDS, state);
            if owned.changed().await.is_err() {
                return;
            }
        }
    };
    stop.run_until_cancelled(watch).await;
}
