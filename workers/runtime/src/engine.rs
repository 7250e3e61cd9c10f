//! Many commands in one transaction, or each in its own when the many do not get along.
//!
//! ```text
//!  BEGIN, read the inbox | handler, handler, ... | insert inbox rows | settle prepared rows | events | COMMIT
//!                                   any failure: everything rolls back, and each runs alone
//! ```
//!
//! The engine never gives up on the database: while it is gone, the commands wait here, unacknowledged. So a fault
//! is only answered when it is known that nothing happened, and an outage of seconds causes no faults at all.

use std::{sync::Arc, time::Duration};

use backon::BackoffBuilder;
use contract::command::FAULT_DEPENDENCY;
use kit::{clock::Clock, readiness::Readiness};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    barrier::{Entry, Ruling},
    events::Events,
    handler::HandlerError,
    inbox::{self, NewEntry, Written},
    job::{Job, Work},
    limits, observe,
    transaction::{Mode, Reply, Settled, Transaction, Writes},
};

/// How often a command alone is run again because somebody else got in its way, before that is a fault.
const CONFLICT_TRIES_MAX: u32 = 8;

/// The limits travel with the BEGIN, in one round trip: no lock and no statement may hold up the queue behind it for
/// longer than a reply is waited for, and a worker that is frozen in a transaction loses it.
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '15s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '60s'";

/// Carries out commands on one domain's database.
pub(crate) struct Engine {
    pub(crate) pool: PgPool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Events,
    pub(crate) domain: &'static str,
    pub(crate) readiness: Readiness,
    /// Cancelled when nothing is worth waiting for any more.
    pub(crate) stop: CancellationToken,
}

/// The worker stops while the database is gone: the commands go back to the queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopped;

/// Why a transaction did not commit.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The database is gone, and perhaps it committed.
    Gone(sqlx::Error),
    /// Somebody else was faster; rolled back.
    Conflict(String),
    /// A handler failed; rolled back.
    Handler(HandlerError),
}

impl Engine {
    /// Carries out the due parts of `jobs`, in this order; one result each. Waits while the database is gone.
    pub(crate) async fn run(&self, jobs: &[Job]) -> Result<Vec<Settled>, Stopped> {
        match jobs {
            [] => return Ok(Vec::new()),
            [one] => return Ok(vec![self.run_alone(one).await?]),
            _ => {}
        }
        loop {
            match self.transaction(jobs, Mode::Together).await {
                Ok(settled) => return Ok(settled),
                Err(Failure::Gone(error)) => self.wait_for_database(&error).await?,
                Err(failure) => {
                    observe::one_by_one(self.domain, jobs.len(), &failure.text());
                    break;
                }
            }
        }
        let mut settled = Vec::with_capacity(jobs.len());
        for job in jobs {
            settled.push(self.run_alone(job).await?);
        }
        Ok(settled)
    }

    async fn run_alone(&self, job: &Job) -> Result<Settled, Stopped> {
        let mut conflicts = 0;
        // The first try goes without the savepoint, for its two round trips; only a refusal after writes needs it.
        let mut mode = Mode::Together;
        loop {
            let failure = match self.transaction(std::slice::from_ref(job), mode).await {
                Ok(mut settled) => match settled.pop() {
                    Some(settled) => return Ok(settled),
                    None => unreachable!("one job has one result"),
                },
                Err(failure) => failure,
            };
            let fault = match failure {
                Failure::Gone(error) => {
                    self.wait_for_database(&error).await?;
                    continue;
                }
                Failure::Conflict(_) if conflicts < CONFLICT_TRIES_MAX => {
                    conflicts += 1;
                    continue;
                }
                Failure::Handler(HandlerError::Refused(_)) if mode == Mode::Together => {
                    mode = Mode::Alone;
                    continue;
                }
                // A fault says that nothing happened. It is not true when a copy of this command, in another worker,
                // was what the handler stumbled over.
                Failure::Handler(_) if conflicts < CONFLICT_TRIES_MAX && self.is_settled_elsewhere(job).await => {
                    conflicts += 1;
                    continue;
                }
                Failure::Conflict(text) => Reply::fault(FAULT_DEPENDENCY, text),
                Failure::Handler(HandlerError::Fault { code, message }) => Reply::fault(code, message),
                Failure::Handler(error) => Reply::fault(FAULT_DEPENDENCY, error.to_string()),
            };
            return Ok(Settled::Reply(fault));
        }
    }

    /// Whether the inbox has moved on since a command was read there. Waits for a copy that is about to commit.
    async fn is_settled_elsewhere(&self, job: &Job) -> bool {
        let asked = async {
            let mut tx = self.pool.begin_with(BEGIN).await?;
            let known = inbox::load(&mut tx, std::iter::once(&job.envelope.command_id)).await?;
            let unsettled = match job.work {
                Work::First => matches!(known.rule(&job.envelope.command_id), Ruling::Run { .. } | Ruling::Null { .. }),
                Work::Record { .. } => matches!(known.get(&job.envelope.command_id), Some(Entry::Prepared(_))),
            };
            if !unsettled {
                return Ok::<_, Failure>(true);
            }
            // The same write that would have settled it here, and never committed: it waits for the copy's.
            let row = NewEntry {
                id: job.envelope.command_id.clone(),
                command: job.registered.name,
                entry: Entry::tombstone(),
            };
            let written = match job.work {
                Work::First => inbox::insert(&mut tx, vec![row], self.clock.now()).await?,
                Work::Record { .. } => inbox::settle(&mut tx, vec![row]).await?,
            };
            tx.rollback().await?;
            Ok(written == Written::Conflict)
        };
        // When the database does not tell, the fault is answered as it is.
        asked.await.unwrap_or(false)
    }

    /// One transaction over all of `jobs`.
    async fn transaction(&self, jobs: &[Job], mode: Mode) -> Result<Vec<Settled>, Failure> {
        tokio::select! {
            // What becomes of it nobody knows, which is what `Gone` says; the wait for the database then ends at once.
            () = self.stop.cancelled() => Err(Failure::Gone(sqlx::Error::PoolClosed)),
            result = tokio::time::timeout(limits::TRANSACTION_MAX, self.transact(jobs, mode)) => match result {
                Ok(result) => result,
                // Only a network that swallows packets gets here: everything else has a limit of the database's own.
                Err(_) => Err(Failure::Gone(sqlx::Error::PoolTimedOut)),
            },
        }
    }

    async fn transact(&self, jobs: &[Job], mode: Mode) -> Result<Vec<Settled>, Failure> {
        let mut tx = self.pool.begin_with(BEGIN).await?;
        let known = inbox::load(&mut tx, jobs.iter().map(|job| &job.envelope.command_id)).await?;
        let now = self.clock.now();
        let mut work = Transaction { mode, now, events: &self.events, known, writes: Writes::default() };
        let mut settled = Vec::with_capacity(jobs.len());
        for job in jobs {
            settled.push(work.carry_out(&mut tx, job).await?);
        }
        work.write(&mut tx).await?;
        tx.commit().await.map_err(Failure::of_commit)?;
        if !work.writes.events.is_empty() {
            self.events.committed();
        }
        for wake in work.writes.after_commit {
            wake();
        }
        self.readiness.set(&self.need(), Ok(()));
        Ok(settled)
    }

    /// Waits until the database answers.
    async fn wait_for_database(&self, error: &sqlx::Error) -> Result<(), Stopped> {
        self.readiness.set(&self.need(), Err(format!("no connection to PostgreSQL: {error}")));
        for pause in pauses() {
            tokio::select! {
                () = self.stop.cancelled() => return Err(Stopped),
                () = tokio::time::sleep(pause) => {}
            }
            let there = tokio::select! {
                () = self.stop.cancelled() => return Err(Stopped),
                there = sqlx::query("SELECT 1").execute(&self.pool) => there,
            };
            if there.is_ok() {
                self.readiness.set(&self.need(), Ok(()));
                break;
            }
        }
        // A commit whose answer was lost may have stored events, and when it did nobody else wakes the relay for them.
        self.events.committed();
        Ok(())
    }

    /// The database's name among the needs of the program.
    pub(crate) fn need(&self) -> String {
        format!("database {}", self.domain)
    }
}

impl Failure {
    /// A commit that did not answer may have happened.
    fn of_commit(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(_) => error.into(),
            error => Self::Gone(error),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Gone(error) => error.to_string(),
            Self::Conflict(text) => text.clone(),
            Self::Handler(error) => error.to_string(),
        }
    }
}

impl From<HandlerError> for Failure {
    fn from(error: HandlerError) -> Self {
        match error {
            HandlerError::Database(error) => error.into(),
            error => Self::Handler(error),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match kind(&error) {
            DatabaseErrorKind::Gone => Self::Gone(error),
            DatabaseErrorKind::Conflict => Self::Conflict(error.to_string()),
            DatabaseErrorKind::Other => Self::Handler(HandlerError::Database(error)),
        }
    }
}

/// What an error of the database means for a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatabaseErrorKind {
    /// No connection, or one that is going: nobody knows what was committed.
    Gone,
    /// A transaction got in the way of another one: the same again may pass, or find the other one's result.
    Conflict,
    /// The statement itself.
    Other,
}

pub(crate) fn kind(error: &sqlx::Error) -> DatabaseErrorKind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => DatabaseErrorKind::Gone,
        sqlx::Error::Database(error) => match error.code().as_deref().unwrap_or_default() {
            // Connection exceptions; shutdown, crash or start of the server.
            code if code.starts_with("08") || code.starts_with("57P") => DatabaseErrorKind::Gone,
            // Too many clients; a server that became read-only; frozen for too long within a transaction.
            "53300" | "25006" | "25P03" => DatabaseErrorKind::Gone,
            // Serialization, deadlock, unique, exclusion.
            "40001" | "40P01" | "23505" | "23P01" => DatabaseErrorKind::Conflict,
            _ => DatabaseErrorKind::Other,
        },
        _ => DatabaseErrorKind::Other,
    }
}

/// Pauses between tries to reach something that is gone, without end.
pub(crate) fn pauses() -> impl Iterator<Item = Duration> + Send {
    backon::ExponentialBuilder::default()
        .with_min_delay(limits::RECONNECT_PAUSE_MIN)
        .with_max_delay(limits::RECONNECT_PAUSE_MAX)
        .with_jitter()
        .without_max_times()
        .build()
}
