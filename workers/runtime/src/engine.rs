//! Many commands in one transaction, or each in its own when the many do not get along.
//!
//! ```text
//!  BEGIN, read the inbox | handler, handler, ... | insert inbox rows | close prepared rows | events | COMMIT
//!                                   any failure: everything rolls back, and each runs alone
//! ```
//!
//! The engine never gives up on the database: while it is gone, the commands wait here, unacknowledged. So a fault
//! is only answered when it is known that nothing happened, and an outage of seconds causes no faults at all.

use std::{future::Future, sync::Arc};

use contract::command::FAULT_DEPENDENCY_FAILED;
use kit::{clock::Clock, readiness::Readiness};
use sqlx::{PgPool, Postgres, Transaction};
use tokio_util::sync::CancellationToken;

use crate::{
    barrier::{InboxEntry, Ruling},
    events::outbox::Events,
    failure::{Failure, pauses},
    handler_error::HandlerError,
    inbox::{self, NewInboxEntry, Written},
    limits, observe,
    received::{Part, ReceivedCommand},
    transaction::{CommandBatch, FollowUp, Mode, Reply, Writes},
};

/// How often a command alone is run again because somebody else got in its way, before that is a fault.
pub(crate) const CONFLICT_TRIES_MAX: u32 = 8;

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

impl Engine {
    /// Carries out the due parts of `batch`, in this order; one result each. Waits while the database is gone.
    pub(crate) async fn run(&self, batch: &[ReceivedCommand]) -> Result<Vec<FollowUp>, Stopped> {
        match batch {
            [] => return Ok(Vec::new()),
            [one] => return Ok(vec![self.run_alone(one).await?]),
            _ => {}
        }
        loop {
            match self.within_limits(self.transact(batch, Mode::Together)).await {
                Ok(followed) => return Ok(followed),
                Err(Failure::Gone(error)) => self.wait_for_database(&error).await?,
                Err(failure) => {
                    observe::one_by_one(self.domain, batch.len(), &failure.text());
                    break;
                }
            }
        }
        let mut followed = Vec::with_capacity(batch.len());
        for received in batch {
            followed.push(self.run_alone(received).await?);
        }
        Ok(followed)
    }

    async fn run_alone(&self, received: &ReceivedCommand) -> Result<FollowUp, Stopped> {
        let mut conflicts = 0;
        // The first try goes without the savepoint, for its two round trips; only a refusal after writes needs it.
        let mut mode = Mode::Together;
        loop {
            let failure = match self.within_limits(self.transact(std::slice::from_ref(received), mode)).await {
                Ok(mut followed) => match followed.pop() {
                    Some(followed) => return Ok(followed),
                    None => unreachable!("one received has one result"),
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
                Failure::Handler(_) if conflicts < CONFLICT_TRIES_MAX && self.is_ended_elsewhere(received).await => {
                    conflicts += 1;
                    continue;
                }
                Failure::Conflict(text) => Reply::fault(FAULT_DEPENDENCY_FAILED, text),
                Failure::Handler(HandlerError::Fault { code, message }) => Reply::fault(code, message),
                Failure::Handler(error) => Reply::fault(FAULT_DEPENDENCY_FAILED, error.to_string()),
            };
            return Ok(FollowUp::Reply(fault));
        }
    }

    /// Whether the inbox has moved on since a command was read there. Waits for a copy that is about to commit.
    async fn is_ended_elsewhere(&self, received: &ReceivedCommand) -> bool {
        let asked = async {
            let mut tx = self.begin().await?;
            let known = inbox::load(&mut tx, std::iter::once(&received.envelope.command_id)).await?;
            let open = match received.part {
                Part::First => {
                    matches!(known.rule(&received.envelope.command_id), Ruling::Run { .. } | Ruling::Null { .. })
                }
                Part::Record { .. } => {
                    matches!(known.get(&received.envelope.command_id), Some(InboxEntry::Prepared(_)))
                }
            };
            if !open {
                return Ok::<_, Failure>(true);
            }
            // The same write that would have followed it here, and never committed: it waits for the copy's.
            let row = NewInboxEntry {
                id: received.envelope.command_id.clone(),
                command: received.registered.name,
                entry: InboxEntry::tombstone(),
            };
            let written = match received.part {
                Part::First => inbox::insert(&mut tx, vec![row], self.clock.now()).await?,
                Part::Record { .. } => inbox::close_prepared(&mut tx, vec![row]).await?,
            };
            tx.rollback().await?;
            Ok(written == Written::Conflict)
        };
        // When the database does not tell, the fault is answered as it is.
        asked.await.unwrap_or(false)
    }

    /// Begins a transaction whose locks and statements have limits.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.pool.begin_with(BEGIN).await
    }

    /// Carries out a transaction unless it takes too long or the worker stops.
    pub(crate) async fn within_limits<T>(
        &self,
        transaction: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            // It is unknown what becomes of it, as `Gone` says; the wait for the database then ends at once.
            () = self.stop.cancelled() => Err(Failure::Gone(sqlx::Error::PoolClosed)),
            result = tokio::time::timeout(limits::TRANSACTION_MAX, transaction) => match result {
                Ok(result) => result,
                // Only a network that swallows packets gets here: everything else has a limit of the database's own.
                Err(_) => Err(Failure::Gone(sqlx::Error::PoolTimedOut)),
            },
        }
    }

    /// One transaction over all of `batch`.
    async fn transact(&self, batch: &[ReceivedCommand], mode: Mode) -> Result<Vec<FollowUp>, Failure> {
        let mut tx = self.begin().await?;
        let known = inbox::load(&mut tx, batch.iter().map(|received| &received.envelope.command_id)).await?;
        let now = self.clock.now();
        let mut transaction = CommandBatch { mode, now, events: &self.events, known, writes: Writes::default() };
        let mut followed = Vec::with_capacity(batch.len());
        for received in batch {
            followed.push(transaction.carry_out(&mut tx, received).await?);
        }
        transaction.write(&mut tx).await?;
        tx.commit().await.map_err(Failure::of_commit)?;
        transaction.writes.announcements.committed(&self.events);
        self.readiness.set(&self.need(), Ok(()));
        Ok(followed)
    }

    /// Waits until the database answers.
    pub(crate) async fn wait_for_database(&self, error: &sqlx::Error) -> Result<(), Stopped> {
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
        // A commit whose answer was lost may have stored events, and then the relay is woken for them only here.
        self.events.committed();
        Ok(())
    }

    /// The database's name among the needs of the program.
    pub(crate) fn need(&self) -> String {
        format!("database {}", self.domain)
    }
}
