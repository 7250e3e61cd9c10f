//! The membership of processes: one connection a process, over which it is counted and hears when to count again.
//!
//! Every process holds a shared lock, and the members are those who hold it: a process that dies is out as soon as the
//! server notices. There is no polling: counting happens when a process joins, begins to wait for a shard or gets one,
//! and twice more soon after, because a dead process's sessions end one by one.

use std::time::Duration;

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use super::session::{
    CHANNEL_JOBS, CHANNEL_JOBS_MOVED, CHANNEL_MEMBERS, CHANNEL_PAUSES, LOCK_CLASS_MEMBER, LOCK_CLASS_SHARD, unavailable,
};
use crate::port::{JournalError, Membership};

/// The pauses after which the members are counted when something happened. The last is beyond the time in which the server notices a peer that
/// vanished.
const COUNT_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(15)];

/// Between attempts to find a lost server again. A lane that notices by itself is not held up by it.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// How long it may take to reach the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Also tells the place of the session that asks (the order is that of the sessions' numbers), and the shards that are
/// waited for.
const COUNT: &str = "\
SELECT count(DISTINCT pid) FILTER (WHERE granted AND classid::bigint = $1), \
       count(DISTINCT pid) FILTER (WHERE granted AND classid::bigint = $1 AND pid < pg_backend_pid()), \
       array_agg(DISTINCT objid::bigint) FILTER (WHERE NOT granted AND classid::bigint = $2) \
FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 \
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// This process's part in the membership.
#[derive(Debug)]
pub(super) struct Link {
    membership: watch::Receiver<Membership>,
    doubts: watch::Receiver<u64>,
    jobs: watch::Receiver<u64>,
    jobs_moved: watch::Receiver<u64>,
    pauses: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Link {
    /// Joins, and keeps joining again until it is dropped.
    pub(super) async fn join(options: PgConnectOptions) -> Result<Self, JournalError> {
        let failed = unavailable("joining those who take part");
        let mut listener = attend(&options).await.map_err(&failed)?;
        let (membership_in, membership) = watch::channel(count(&mut listener).await.map_err(&failed)?);
        let (doubts_in, doubts) = watch::channel(0);
        let (jobs_in, jobs) = watch::channel(0);
        let (jobs_moved_in, jobs_moved) = watch::channel(0);
        let (pauses_in, pauses) = watch::channel(0);
        let told = Told {
            membership: membership_in,
            doubts: doubts_in,
            jobs: jobs_in,
            jobs_moved: jobs_moved_in,
            pauses: pauses_in,
        };
        let task = tokio::spawn(keep(options, listener, told));
        Ok(Self { membership, doubts, jobs, jobs_moved, pauses, task })
    }

    /// This process among those that take part.
    pub(super) fn membership(&self) -> watch::Receiver<Membership> {
        self.membership.clone()
    }

    /// Counts the reasons for which a session may be gone: this process lost the server, or a shard changed hands.
    pub(super) fn doubts(&self) -> watch::Receiver<u64> {
        self.doubts.clone()
    }

    /// Counts the reasons for which there may be a job to carry out.
    pub(super) fn jobs(&self) -> watch::Receiver<u64> {
        self.jobs.clone()
    }

    /// Counts the reasons for which a job may have moved.
    pub(super) fn jobs_moved(&self) -> watch::Receiver<u64> {
        self.jobs_moved.clone()
    }

    /// Counts the reasons for which the pauses may have changed.
    pub(super) fn pauses(&self) -> watch::Receiver<u64> {
        self.pauses.clone()
    }
}

/// The parts of this process that hear what the link hears.
#[derive(Debug)]
struct Told {
    membership: watch::Sender<Membership>,
    doubts: watch::Sender<u64>,
    jobs: watch::Sender<u64>,
    jobs_moved: watch::Sender<u64>,
    pauses: watch::Sender<u64>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(options: PgConnectOptions, mut listener: PgListener, told: Told) {
    loop {
        if let Err(error) = listen(&mut listener, &told).await {
            tracing::warn!(%error, "the journal's database is lost");
        }
        drop(listener);
        told.doubts.send_modify(|doubts| *doubts += 1);
        listener = loop {
            match attend(&options).await {
                Ok(listener) => break listener,
                Err(error) => {
                    tracing::debug!(%error, "the journal's database is still away");
                    sleep(RECONNECT_PAUSE).await;
                }
            }
        };
        tracing::info!("the journal's database is there again");
        // What was told meanwhile was missed.
        told.jobs.send_modify(|jobs| *jobs += 1);
        told.jobs_moved.send_modify(|moves| *moves += 1);
        told.pauses.send_modify(|pauses| *pauses += 1);
    }
}

/// Connects, is counted from then on, and tells the others.
async fn attend(options: &PgConnectOptions) -> Result<PgListener, sqlx::Error> {
    // A pool only because the listener wants one: it never holds more than this connection.
    let pool: PgPool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.clone())
        .await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.ignore_pool_close_event(true);
    listener.eager_reconnect(false);
    listener.listen_all([CHANNEL_MEMBERS, CHANNEL_JOBS, CHANNEL_JOBS_MOVED, CHANNEL_PAUSES]).await?;
    sqlx::query("SELECT pg_advisory_lock_shared($1, 0)").bind(LOCK_CLASS_MEMBER).execute(&mut listener).await?;
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL_MEMBERS).execute(&mut listener).await?;
    Ok(listener)
}

/// Counts whenever there is a reason to. Ends when the connection is lost.
async fn listen(listener: &mut PgListener, told: &Told) -> Result<(), sqlx::Error> {
    let mut due = counts_from_now();
    loop {
        let next = due.last().copied();
        let wait = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            heard = listener.try_recv() => match heard? {
                Some(notice) if notice.channel() == CHANNEL_JOBS => told.jobs.send_modify(|jobs| *jobs += 1),
                Some(notice) if notice.channel() == CHANNEL_JOBS_MOVED => {
                    told.jobs_moved.send_modify(|moves| *moves += 1);
                }
                Some(notice) if notice.channel() == CHANNEL_PAUSES => told.pauses.send_modify(|pauses| *pauses += 1),
                Some(_) => {
                    due = counts_from_now();
                    told.doubts.send_modify(|doubts| *doubts += 1);
                }
                None => return Ok(()),
            },
            () = wait => {
                due.pop();
                let found = count(listener).await?;
                told.membership.send_if_modified(|known| {
                    let differs = *known != found;
                    *known = found;
                    differs
                });
            }
        }
    }
}

/// The times to count at, the first one last.
fn counts_from_now() -> Vec<Instant> {
    let now = Instant::now();
    COUNT_AFTER.iter().rev().map(|after| now + *after).collect()
}

async fn count(listener: &mut PgListener) -> Result<Membership, sqlx::Error> {
    let (members, place, waited_for): (i64, i64, Option<Vec<i64>>) = sqlx::query_as(COUNT)
        .bind(i64::from(LOCK_CLASS_MEMBER))
        .bind(i64::from(LOCK_CLASS_SHARD))
        .fetch_one(listener)
        .await?;
    let members = usize::try_from(members).unwrap_or(1).max(1);
    let waited_for = waited_for.unwrap_or_default().into_iter().filter_map(|shard| u16::try_from(shard).ok()).collect();
    Ok(Membership { members, place: usize::try_from(place).unwrap_or(0), waited_for })
}
