//! One transaction over some commands: what the barrier rules, what handlers do, what is written at the end.

use std::{collections::BTreeMap, fmt, sync::Arc};

use chrono::{DateTime, Utc};
use contract::{CommandId, Op, Outcome, command::FAULT_COMMAND_EXPIRED, limits::cut_error_text};
use sqlx::{Connection, PgConnection, Postgres, Transaction};

use crate::{
    barrier::{InboxEntry, Known, Ruling},
    context::Context,
    erased::{AnyHandler, AnyOutside, AnyRecording, Prepared, Response, StoredOutcome},
    events::{announcements::Announcements, outbox::Events},
    failure::{Failure, guarded},
    handler_error::HandlerError,
    inbox::{self, NewInboxEntry, Written},
    lock_order::{AnyLockOrder, Batch},
    received::{Part, ReceivedCommand},
    sets::sets,
    side_effects::Cause,
};

/// The work that is due for a command after the commit.
#[derive(Debug)]
pub(crate) enum FollowUp {
    /// The command is to be answered.
    Reply(Reply),
    /// Somebody outside is to be asked; then the command comes back with [`Part::Record`].
    Call(OutsideCall),
    /// The command ends its connections: it goes back to the queue unanswered, whose limit of deliveries ends it.
    GiveBack,
}

/// The work that is due for a command within the transaction.
enum Due {
    /// Its handler is to be run.
    Run {
        /// The action whose row becomes a tombstone together with this command's.
        in_doubt: Option<CommandId>,
    },
    /// None: this follows.
    Nothing(FollowUp),
}

/// A call to somebody outside that is due.
pub(crate) struct OutsideCall {
    /// The command's handler.
    pub(crate) handler: Arc<dyn AnyOutside>,
    /// The JSON that the prepare stored.
    pub(crate) prepared: String,
    /// Whether an earlier call may have been made.
    pub(crate) resumed: bool,
}

impl fmt::Debug for OutsideCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutsideCall")
            .field("prepared", &self.prepared)
            .field("resumed", &self.resumed)
            .finish_non_exhaustive()
    }
}

/// An answer, and how it came about.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) outcome: StoredOutcome,
    pub(crate) ending: Ending,
}

/// How a command ended, for logs and metrics.
#[derive(Debug)]
pub(crate) enum Ending {
    Done,
    Refused {
        code: String,
    },
    /// A compensation with nothing to undo.
    Null,
    /// The stored answer once more.
    Again,
    Faulted {
        code: String,
        text: String,
    },
}

/// Whether a transaction holds one command, which then may also undo its own writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Together,
    Alone,
}

/// The commands of one transaction, between its BEGIN and its COMMIT.
pub(crate) struct CommandBatch<'e> {
    pub(crate) mode: Mode,
    pub(crate) now: DateTime<Utc>,
    pub(crate) events: &'e Events,
    pub(crate) lock_order: Option<&'e dyn AnyLockOrder>,
    pub(crate) known: Known,
    pub(crate) writes: Writes,
}

/// The end of a run of a handler.
enum Ran<T> {
    /// It came to its own end.
    Through(T),
    /// It refused, and what it had written was taken back.
    TakenBack(Response),
}

/// The part of a transaction in which a handler runs: all of it, or one that a refusal after writes takes back.
enum Scope<'t> {
    Whole(&'t mut PgConnection),
    Savepoint(Transaction<'t, Postgres>),
}

impl<'t> Scope<'t> {
    async fn enter(tx: &'t mut PgConnection, mode: Mode) -> Result<Self, sqlx::Error> {
        match mode {
            Mode::Together => Ok(Self::Whole(tx)),
            Mode::Alone => Ok(Self::Savepoint(Connection::begin(tx).await?)),
        }
    }

    fn connection(&mut self) -> &mut PgConnection {
        match self {
            Self::Whole(tx) => tx,
            Self::Savepoint(savepoint) => savepoint,
        }
    }

    async fn leave<T>(self, handled: Result<T, HandlerError>) -> Result<Ran<T>, Failure> {
        match (self, handled) {
            (Self::Whole(_), handled) => Ok(Ran::Through(handled?)),
            (Self::Savepoint(savepoint), Ok(handled)) => {
                savepoint.commit().await?;
                Ok(Ran::Through(handled))
            }
            (Self::Savepoint(savepoint), Err(HandlerError::Refused(refusal))) => {
                savepoint.rollback().await?;
                Ok(Ran::TakenBack(Response::of(&Outcome::<()>::Refused(refusal))?))
            }
            (Self::Savepoint(_), Err(error)) => Err(error.into()),
        }
    }
}

/// The rows that a transaction is going to write at its end, and the announcements for after it.
#[derive(Default)]
pub(crate) struct Writes {
    inserts: Vec<NewInboxEntry>,
    closes: Vec<NewInboxEntry>,
    pub(crate) announcements: Announcements,
}

impl CommandBatch<'_> {
    /// Carries out the due parts of all commands; a follow-up for each, in their order.
    pub(crate) async fn carry_out(
        &mut self,
        tx: &mut PgConnection,
        batch: &mut [ReceivedCommand],
    ) -> Result<Vec<FollowUp>, Failure> {
        let sets = sets(batch.iter().map(|received| (received.envelope.saga_id(), set_kind(received))));
        if let (Some(lock_order), true) = (self.lock_order, sets.len() > 1) {
            let commands = batch.iter_mut().map(ReceivedCommand::decoded).collect::<Result<Vec<_>, _>>()?;
            guarded(lock_order.lock(tx, &Batch::new(commands))).await?;
        }
        let mut follow_ups = BTreeMap::new();
        for places in sets {
            match batch[places[0]].part {
                Part::First => self.first_parts(tx, batch, &places, &mut follow_ups).await?,
                Part::Record { .. } => self.records(tx, batch, &places, &mut follow_ups).await?,
            }
        }
        Ok(follow_ups.into_values().collect())
    }

    /// Writes the inbox and the outbox, each in one statement. Everything after this is the COMMIT.
    pub(crate) async fn write(&mut self, tx: &mut PgConnection) -> Result<(), Failure> {
        let inserts = std::mem::take(&mut self.writes.inserts);
        let closes = std::mem::take(&mut self.writes.closes);
        for written in [inbox::insert(tx, inserts, self.now).await?, inbox::close_prepared(tx, closes).await?] {
            if written == Written::Conflict {
                return Err(Failure::Conflict("another copy of this command is being carried out".to_owned()));
            }
        }
        Ok(self.writes.announcements.store(tx).await?)
    }

    /// The work that the inbox's knowledge leaves for the first part of a command.
    fn due(&mut self, received: &ReceivedCommand) -> Result<Due, Failure> {
        let id = &received.envelope.command_id;
        let ruling = self.known.rule(id);
        Ok(match ruling {
            Ruling::Answer(outcome) => Due::Nothing(FollowUp::Reply(Reply { outcome, ending: Ending::Again })),
            Ruling::Resume(prepared) => Due::Nothing(FollowUp::Call(outside_call(received, prepared, true)?)),
            Ruling::Null { tombstone } => {
                let outcome = received.null_outcome()?;
                self.insert(received, tombstone, InboxEntry::tombstone());
                self.insert(received, id.clone(), InboxEntry::Done(outcome.clone()));
                Due::Nothing(FollowUp::Reply(Reply { outcome, ending: Ending::Null }))
            }
            Ruling::Run { in_doubt } => Due::Run { in_doubt },
        })
    }

    /// The first parts of a set of commands of one kind and of different sagas: those that are to be run are done at once.
    async fn first_parts(
        &mut self,
        tx: &mut PgConnection,
        batch: &mut [ReceivedCommand],
        places: &[usize],
        follow_ups: &mut BTreeMap<usize, FollowUp>,
    ) -> Result<(), Failure> {
        let (mut running, mut set) = (Vec::new(), Vec::new());
        for place in places {
            let received = &mut batch[*place];
            match self.due(received)? {
                Due::Nothing(follow_up) => {
                    follow_ups.insert(*place, follow_up);
                }
                Due::Run { in_doubt } => {
                    let mut context = received.context(self.now);
                    context.action_in_doubt.clone_from(&in_doubt);
                    set.push((received.command()?, context));
                    running.push((*place, in_doubt));
                }
            }
        }
        let Some((first, _)) = running.first() else { return Ok(()) };
        let registered = Arc::clone(&batch[*first].registered);
        let mut scope = Scope::enter(tx, self.mode).await?;
        let ended = guarded(registered.handler.first(scope.connection(), set)).await;
        let ended = match scope.leave(ended).await? {
            Ran::Through(ended) => ended,
            // Only a command alone gets here.
            Ran::TakenBack(response) => vec![(Prepared::Answered(response), batch[*first].context(self.now))],
        };
        for ((place, in_doubt), (end, context)) in running.into_iter().zip(ended) {
            let received = &batch[place];
            if let Some(action) = in_doubt {
                self.close(received, action, InboxEntry::tombstone());
            }
            let follow_up = match end {
                Prepared::Answered(response) => self.answered_first(received, context, response)?,
                Prepared::Call(prepared) => {
                    let id = received.envelope.command_id.clone();
                    self.insert(received, id, InboxEntry::Prepared(prepared.clone()));
                    self.keep(received, context)?;
                    FollowUp::Call(outside_call(received, prepared, false)?)
                }
            };
            follow_ups.insert(place, follow_up);
        }
        Ok(())
    }

    fn answered_first(
        &mut self,
        received: &ReceivedCommand,
        context: Context,
        response: Response,
    ) -> Result<FollowUp, Failure> {
        let (entry, reply) = self.answered(received, context, response)?;
        self.insert(received, received.envelope.command_id.clone(), entry);
        Ok(FollowUp::Reply(reply))
    }

    /// The records of a set of commands of one kind and of different sagas, whose calls were answered.
    async fn records(
        &mut self,
        tx: &mut PgConnection,
        batch: &mut [ReceivedCommand],
        places: &[usize],
        follow_ups: &mut BTreeMap<usize, FollowUp>,
    ) -> Result<(), Failure> {
        let mut open = Vec::new();
        for place in places {
            let received = &mut batch[*place];
            match self.known.get(&received.envelope.command_id) {
                Some(InboxEntry::Prepared(_)) => open.push((*place, received.command()?)),
                // Recorded by another worker, or taken back in the meantime: that is the answer, and this one is void.
                Some(InboxEntry::Done(outcome) | InboxEntry::Refused(outcome) | InboxEntry::Tombstone(outcome)) => {
                    let reply = Reply { outcome: outcome.clone(), ending: Ending::Again };
                    follow_ups.insert(*place, FollowUp::Reply(reply));
                }
                None => {
                    return Err(HandlerError::fault("the intent of this outside call is gone from the inbox").into());
                }
            }
        }
        let batch = &*batch;
        let (mut places, mut set, mut by) = (Vec::new(), Vec::new(), None);
        for (place, command) in open {
            let Part::Record { handler, prepared, answer } = &batch[place].part else {
                return Err(HandlerError::fault("there is no answer to be recorded").into());
            };
            places.push(place);
            set.push(AnyRecording { command, prepared, answer, context: batch[place].context(self.now) });
            by = Some(handler);
        }
        let (Some(handler), Some(first)) = (by, places.first()) else { return Ok(()) };
        let mut scope = Scope::enter(tx, self.mode).await?;
        let recorded = guarded(handler.record(scope.connection(), set)).await;
        let recorded = match scope.leave(recorded).await? {
            Ran::Through(recorded) => recorded,
            // Only a command alone gets here.
            Ran::TakenBack(response) => vec![(response, batch[*first].context(self.now))],
        };
        for (place, (response, context)) in places.into_iter().zip(recorded) {
            let received = &batch[place];
            let (entry, reply) = self.answered(received, context, response)?;
            self.close(received, received.envelope.command_id.clone(), entry);
            follow_ups.insert(place, FollowUp::Reply(reply));
        }
        Ok(())
    }

    fn answered(
        &mut self,
        received: &ReceivedCommand,
        context: Context,
        response: Response,
    ) -> Result<(InboxEntry, Reply), Failure> {
        let outcome = response.outcome;
        match response.refusal {
            None => {
                self.keep(received, context)?;
                Ok((InboxEntry::Done(outcome.clone()), Reply { outcome, ending: Ending::Done }))
            }
            // S12: a compensation that says no leaves the saga nowhere to go. It is a bug, and asked again.
            Some(code) if received.envelope.op() == Op::Compensation => {
                let text = format!("`{}` must not refuse, but did: {code}", received.registered.name);
                Err(HandlerError::fault(text).into())
            }
            Some(code) => {
                Ok((InboxEntry::Refused(outcome.clone()), Reply { outcome, ending: Ending::Refused { code } }))
            }
        }
    }

    /// Keeps what the handler asked for beside its transaction.
    fn keep(&mut self, received: &ReceivedCommand, context: Context) -> Result<(), Failure> {
        let cause = Cause {
            flow: Some(received.envelope.saga_id().to_string()),
            message: Some(received.envelope.message_id.to_string()),
            traceparent: received.envelope.traceparent,
        };
        Ok(self.writes.announcements.add(self.events, context.side_effects, self.now, &cause)?)
    }

    fn insert(&mut self, received: &ReceivedCommand, id: CommandId, entry: InboxEntry) {
        self.known.note(id.clone(), entry.clone());
        self.writes.inserts.push(NewInboxEntry { id, command: received.registered.name, entry });
    }

    fn close(&mut self, received: &ReceivedCommand, id: CommandId, entry: InboxEntry) {
        self.known.note(id.clone(), entry.clone());
        self.writes.closes.push(NewInboxEntry { id, command: received.registered.name, entry });
    }
}

impl Reply {
    /// A fault's answer. Never stored.
    pub(crate) fn fault(code: &str, text: impl Into<String>) -> Self {
        let text = cut_error_text(text.into());
        let outcome = StoredOutcome::of(&Outcome::<()>::faulted(code, text.as_str()));
        Self {
            outcome: outcome.unwrap_or_else(|_| unreachable!("a cut text fits into a reply")),
            ending: Ending::Faulted { code: code.to_owned(), text },
        }
    }
}

/// The kind of the set that a command is handled in: commands of one kind, at the same part of theirs.
fn set_kind(received: &ReceivedCommand) -> (&'static str, u16, bool) {
    (received.registered.name, received.registered.version, matches!(received.part, Part::Record { .. }))
}

/// The answer to a command that has expired, which no transaction is begun for; none while it may be started.
pub(crate) fn expired(received: &ReceivedCommand, now: DateTime<Utc>) -> Option<Reply> {
    let expired_at = received.envelope.expires_at.filter(|expires_at| *expires_at < now)?;
    Some(Reply::fault(FAULT_COMMAND_EXPIRED, format!("it expired at {expired_at}, before a worker took it up")))
}

/// The call that a prepare has stored.
fn outside_call(received: &ReceivedCommand, prepared: String, resumed: bool) -> Result<OutsideCall, HandlerError> {
    match &received.registered.handler {
        AnyHandler::Outside(handler) => Ok(OutsideCall { handler: Arc::clone(handler), prepared, resumed }),
        // Prepared by a version of the program whose handler called outside, which this version's does not.
        AnyHandler::Local(_) => Err(HandlerError::fault("the call that an earlier version prepared is not made here")),
    }
}
