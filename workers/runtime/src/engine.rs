//! Many commands in one transaction, and when these do not get along, in halves, until the one in the way is alone.
//!
//! ```text
//!  BEGIN, read the inbox of what may be known, lock | handlers, a set at a time | inbox rows | events | COMMIT
//!                            any failure: everything rolls back, and each half is tried
//! ```
//!
//! The engine never gives up on the database: while it is gone, the commands wait here, unacknowledged. So a fault
//! is only answered when it is known that nothing happened, and an outage of seconds causes no faults at all.

use std::{future::Future, sync::Arc};

use contract::command::FAULT_DEPENDENCY_FAILED;
use kit::{clock::Clock, readiness::Readiness};
use tokio_util::sync::CancellationToken;

use crate::{
    barrier::{InboxEntry, Known, Ruling},
    bulkheads::Bulkheads,
    events::outbox::Events,
    failure::{Failure, pauses},
    handler_error::HandlerError,
    inbox::{self, NewInboxEntry, Written},
    limits,
    lock_order::AnyLockOrder,
    observe,
    own_connection::OwnConnection,
    parts::Parts,
    received::{Part, ReceivedCommand},
    transaction::{CommandBatch, FollowUp, Mode, Reply, Writes},
};

/// How often a command alone is run again because somebody else got in its way, before that is a fault.
pub(crate) const CONFLICT_TRIES_MAX: u32 = 8;

/// Carries out commands on one domain's database.
pub(crate) struct Engine {
    pub(crate) bulkheads: Bulkheads,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Events,
    pub(crate) lock_order: Option<Box<dyn AnyLockOrder>>,
    pub(crate) domain: &'static str,
    pub(crate) readiness: Readiness,
    /// Cancelled when nothing is worth waiting for any more.
    pub(crate) stop: CancellationToken,
}

/// The worker stops while the database is gone: the commands go back to the queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopped;

/// A command that is carried out as far as its first transaction goes, or its last.
pub(crate) struct Settled {
    pub(crate) received: ReceivedCommand,
    pub(crate) follow_up: FollowUp,
}

/// The commands whose steps are looked up in the inbox before they are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Those that the inbox may know.
    Doubtful,
    /// All, because the inbox knew one of them that it could not be expected to know.
    All,
}

impl Engine {
    /// A batch on its way through the engine. What may be the end of a connection or a worker comes last and alone.
    pub(crate) fn parts(batch: Vec<ReceivedCommand>) -> Parts<ReceivedCommand> {
        let (suspects, batch) = batch.into_iter().partition(ReceivedCommand::is_suspect);
        Parts::new(batch, suspects)
    }

    /// Carries out the due parts of the next commands of a batch, in their order, as many as settle together. `None` once
    /// all have settled. Waits while the database is gone.
    pub(crate) async fn settle(
        &self,
        own: &mut OwnConnection,
        parts: &mut Parts<ReceivedCommand>,
    ) -> Result<Option<Vec<Settled>>, Stopped> {
        while let Some(mut part) = parts.next() {
            let reading = if part.overtaken { Reading::All } else { Reading::Doubtful };
            if let [received] = part.members.as_mut_slice() {
                let follow_up = self.run_alone(own, received, reading).await?;
                return Ok(part.members.pop().map(|received| vec![Settled { received, follow_up }]));
            }
            match self.transact(own, &mut part.members, Mode::Together, reading).await {
                Ok(follow_ups) => {
                    let settled = part.members.into_iter().zip(follow_ups);
                    return Ok(Some(settled.map(|(received, follow_up)| Settled { received, follow_up }).collect()));
                }
                Err(Failure::Gone(error)) => {
                    self.wait_for_database(own, &error).await?;
                    parts.lost_connection(part);
                }
                Err(Failure::Conflict(_)) => parts.overtaken(part),
                Err(failure @ Failure::Handler(_)) => {
                    observe::halved(self.domain, part.members.len(), &failure.text());
                    parts.failed(part);
                }
            }
        }
        Ok(None)
    }

    async fn run_alone(
        &self,
        own: &mut OwnConnection,
        received: &mut ReceivedCommand,
        mut reading: Reading,
    ) -> Result<FollowUp, Stopped> {
        let (mut conflicts, mut connections_lost) = (0, 0);
        // The first try goes without the savepoint, for its two round trips; only a refusal after writes needs it.
        let mut mode = Mode::Together;
        loop {
            let failure = match self.transact(own, std::slice::from_mut(received), mode, reading).await {
                Ok(mut followed) => match followed.pop() {
                    Some(followed) => return Ok(followed),
                    None => unreachable!("one received has one result"),
                },
                Err(failure) => failure,
            };
            let fault = match failure {
                Failure::Gone(error) => {
                    self.wait_for_database(own, &error).await?;
                    connections_lost += 1;
                    if connections_lost < limits::CONNECTIONS_LOST_MAX {
                        continue;
                    }
                    observe::given_back(self.domain, received, &error.to_string());
                    return Ok(FollowUp::GiveBack);
                }
                Failure::Conflict(_) if conflicts < CONFLICT_TRIES_MAX => {
                    conflicts += 1;
                    reading = Reading::All;
                    continue;
                }
                Failure::Handler(HandlerError::Refused(_)) if mode == Mode::Together => {
                    mode = Mode::Alone;
                    continue;
                }
                // A fault says that nothing happened. It is not true when a copy of this command, in another worker,
                // was what the handler stumbled over.
                Failure::Handler(_)
                    if conflicts < CONFLICT_TRIES_MAX && self.is_ended_elsewhere(own, received).await =>
                {
                    conflicts += 1;
                    reading = Reading::All;
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
    async fn is_ended_elsewhere(&self, own: &mut OwnConnection, received: &ReceivedCommand) -> bool {
        let asked = async {
            let mut tx = own.begin().await?;
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
        match self.within_limits(asked).await {
            Ok(ended) => ended,
            Err(_) => {
                own.forget();
                false
            }
        }
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

    /// One transaction over all of `batch`. A connection that may not have come through it is let go.
    async fn transact(
        &self,
        own: &mut OwnConnection,
        batch: &mut [ReceivedCommand],
        mode: Mode,
        reading: Reading,
    ) -> Result<Vec<FollowUp>, Failure> {
        let followed = self.within_limits(self.transact_in_time(own, batch, mode, reading)).await;
        if followed.as_ref().is_err_and(Failure::leaves_connection_in_doubt) {
            own.forget();
        }
        followed
    }

    async fn transact_in_time(
        &self,
        own: &mut OwnConnection,
        batch: &mut [ReceivedCommand],
        mode: Mode,
        reading: Reading,
    ) -> Result<Vec<FollowUp>, Failure> {
        let mut tx = own.begin().await.map_err(Failure::Gone)?;
        let now = self.clock.now();
        let doubtful = |received: &&ReceivedCommand| reading == Reading::All || !received.is_surely_first(now);
        let doubtful: Vec<_> = batch.iter().filter(doubtful).map(|received| &received.envelope.command_id).collect();
        let known =
            if doubtful.is_empty() { Known::default() } else { inbox::load(&mut tx, doubtful.into_iter()).await? };
        let (events, lock_order) = (&self.events, self.lock_order.as_deref());
        let mut transaction = CommandBatch { mode, now, events, lock_order, known, writes: Writes::default() };
        let followed = transaction.carry_out(&mut tx, batch).await?;
        transaction.write(&mut tx).await?;
        tx.commit().await.map_err(Failure::of_commit)?;
        transaction.writes.announcements.committed(&self.events);
        self.readiness.set(&self.need(), Ok(()));
        Ok(followed)
    }

    /// Waits until the database answers.
    pub(crate) async fn wait_for_database(&self, own: &mut OwnConnection, error: &sqlx::Error) -> Result<(), Stopped> {
        self.readiness.set(&self.need(), Err(format!("no connection to PostgreSQL: {error}")));
        for pause in pauses() {
            tokio::select! {
                () = self.stop.cancelled() => return Err(Stopped),
                () = tokio::time::sleep(pause) => {}
            }
            let there = tokio::select! {
                () = self.stop.cancelled() => return Err(Stopped),
                there = own.connect() => there,
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
