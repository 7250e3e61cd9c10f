//! Who takes part: one connection a process, over which it is counted and hears when to count again.
//!
//! Every process holds a shared lock, and the members are those who hold it: a process that dies is out as soon as the
//! server notices. Nobody asks in vain: counting happens when somebody joins or a shard changes hands, and twice more
//! soon after, because a dead process's sessions end one by one.

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

use super::session::{CHANNEL_MEMBERS, LOCK_CLASS_MEMBER, unavailable};
use crate::port::JournalError;

/// When the members are counted after an event. The last is beyond the time in which the server notices a peer that
/// vanished.
const COUNT_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(15)];

/// Between attempts to find a lost server again. A lane that notices by itself is not held up by it.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// How long it may take to reach the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const COUNT: &str = "\
SELECT count(DISTINCT pid) FROM pg_locks \
WHERE locktype = 'advisory' AND granted AND classid::bigint = $1 AND objid::bigint = 0 AND objsubid = 2 \
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// This process's part in the membership.
#[derive(Debug)]
pub(super) struct Link {
    members: watch::Receiver<usize>,
    losses: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Link {
    /// Joins, and keeps joining again until it is dropped.
    pub(super) async fn join(options: PgConnectOptions) -> Result<Self, JournalError> {
        let failed = unavailable("joining those who take part");
        let mut listener = attend(&options).await.map_err(&failed)?;
        let (members_in, members) = watch::channel(count(&mut listener).await.map_err(&failed)?);
        let (losses_in, losses) = watch::channel(0);
        let task = tokio::spawn(keep(options, listener, members_in, losses_in));
        Ok(Self { members, losses, task })
    }

    /// How many processes take part.
    pub(super) fn members(&self) -> watch::Receiver<usize> {
        self.members.clone()
    }

    /// How often this process lost the server.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.losses.clone()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(
    options: PgConnectOptions,
    mut listener: PgListener,
    members: watch::Sender<usize>,
    losses: watch::Sender<u64>,
) {
    loop {
        if let Err(error) = listen(&mut listener, &members).await {
            tracing::warn!(%error, "the journal's database is lost");
        }
        drop(listener);
        losses.send_modify(|losses| *losses += 1);
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
    listener.listen(CHANNEL_MEMBERS).await?;
    sqlx::query("SELECT pg_advisory_lock_shared($1, 0)").bind(LOCK_CLASS_MEMBER).execute(&mut listener).await?;
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL_MEMBERS).execute(&mut listener).await?;
    Ok(listener)
}

/// Counts whenever there is a reason to. Ends when the connection is lost.
async fn listen(listener: &mut PgListener, members: &watch::Sender<usize>) -> Result<(), sqlx::Error> {
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
                Some(_) => due = counts_from_now(),
                None => return Ok(()),
            },
            () = wait => {
                due.pop();
                let found = count(listener).await?;
                members.send_if_modified(|members| std::mem::replace(members, found) != found);
            }
        }
    }
}

/// The times to count at, the first one last.
fn counts_from_now() -> Vec<Instant> {
    let now = Instant::now();
    COUNT_AFTER.iter().rev().map(|after| now + *after).collect()
}

async fn count(listener: &mut PgListener) -> Result<usize, sqlx::Error> {
    let count: i64 = sqlx::query_scalar(COUNT).bind(i64::from(LOCK_CLASS_MEMBER)).fetch_one(listener).await?;
    Ok(usize::try_from(count).unwrap_or(1).max(1))
}
