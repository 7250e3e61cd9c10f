//! The ownership of shards. One supervisor a shard waits for its ownership, runs its lane, and begins again
//! when the lane ends; the balancer gives away what is more than a fair share and waited for.
//!
//! ```text
//!  with a broker: journal.lane(shard) --owned--> lane --ends: released | lost--> queue for the shard again
//!                   meanwhile the owner               ^ release      ^ forsaken
//!                   is watched over (`peers`)         balancer       without a broker, when a peer waits
//! ```

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use journal::{JournalError, LaneJournal};
use messaging::BrokerState;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    jobs,
    lane::{self, LaneEnd},
    maintenance::{self, BROKER_AWAY_MAX},
    names, peers,
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
        let Some(owned) = stop.run_until_cancelled(own(&shared, shard)).await else { return };
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
        let mut around = JoinSet::new();
        // Ends with the lane, wherever it stands: the next owner goes on.
        around.spawn(jobs::serve(Arc::clone(&shared), shard));
        tracing::info!(shard, "the shard is owned");
        let lane = AssertUnwindSafe(lane::run(Arc::clone(&shared), session, stop.child_token()));
        // A bug that panics past the machine's guard costs this lane's memory, not the shard.
        let lane = shared.watchdog.watch(format!("the lane of shard {shard}"), lane.catch_unwind());
        let ended = lane.await.unwrap_or_else(|_| LaneEnd::Lost {
            reason: "panicked",
            detail: "a bug; the panic's text stands above".to_owned(),
        });
        drop(around);
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

/// Waits for a shard. A process without the broker could not serve it, so it waits for the broker first, and gives its
/// place up when it loses the broker.
async fn own(shared: &Shared, shard: u16) -> Result<Box<dyn LaneJournal>, JournalError> {
    let mut broker = shared.broker.state();
    loop {
        // An error means that the broker's client is closed: the lane finds that out.
        broker.wait_for(|state| *state != BrokerState::Away).await.ok();
        peers::way_is_free(shared, shard).await;
        tokio::select! {
            biased;
            owned = shared.journal.lane(shard) => return owned,
            Ok(_) = broker.wait_for(|state| *state == BrokerState::Away) => {}
            () = peers::watch_owner(shared, shard) => {}
        }
    }
}

/// Gives surplus shards away that other processes wait for, until `stop`.
pub(crate) async fn balance(shared: Arc<Shared>, stop: CancellationToken) {
    let mut membership = shared.journal.membership();
    let mut owned = shared.lanes.owned();
    let watch = async {
        loop {
            let surplus = {
                let seen = membership.borrow_and_update();
                let surplus = owned.borrow_and_update().saturating_sub(seen.share_of(shared.shards));
                shared.lanes.among(&seen.waited_for).into_iter().take(surplus).collect::<Vec<_>>()
            };
            let changed = async {
                tokio::select! {
                    changed = membership.changed() => changed,
                    changed = owned.changed() => changed,
                }
            };
            if surplus.is_empty() {
                if changed.await.is_err() {
                    return;
                }
            } else if tokio::time::timeout(SURPLUS_FOR, changed).await.is_err() {
                shared.lanes.release(&surplus);
                tracing::info!(shards = ?surplus, "giving surplus shards away");
                if owned.changed().await.is_err() {
                    return;
                }
            }
        }
    };
    stop.run_until_cancelled(watch).await;
}

/// Gives up at once the shards that other processes wait for, for as long as the broker is away for too long.
pub(crate) async fn forsake(shared: Arc<Shared>, stop: CancellationToken) {
    let mut broker = shared.broker.state();
    let mut membership = shared.journal.membership();
    let watch = async {
        while broker.wait_for(|state| *state == BrokerState::Away).await.is_ok() {
            let back = broker.wait_for(|state| *state != BrokerState::Away);
            if tokio::time::timeout(BROKER_AWAY_MAX, back).await.is_ok() {
                continue;
            }
            let forsaking = async {
                loop {
                    shared.forsaken.send_replace(membership.borrow_and_update().waited_for.clone());
                    if membership.changed().await.is_err() {
                        std::future::pending().await
                    }
                }
            };
            tokio::select! {
                () = forsaking => {}
                _ = broker.wait_for(|state| *state != BrokerState::Away) => {}
            }
            shared.forsaken.send_replace(Vec::new());
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
