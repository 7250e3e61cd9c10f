//! One transaction over some commands: what the barrier rules, what handlers do, what is written at the end.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use contract::{CommandId, Op, Outcome, command::FAULT_COMMAND_EXPIRED, limits::cut_error_text};
use sqlx::{Connection, PgConnection};

use crate::{
    barrier::{InboxEntry, Known, Ruling},
    context::Context,
    erased::{AnyHandler, AnyOutside, Prepared, Response, StoredOutcome},
    events::{announcements::Announcements, outbox::Events},
    failure::{Failure, guarded},
    handler_error::HandlerError,
    inbox::{self, NewInboxEntry, Written},
    received::{Part, ReceivedCommand},
    side_effects::Cause,
};

/// The work that is due for a command after the commit.
#[derive(Debug)]
pub(crate) enum FollowUp {
    /// The command is to be answered.
    Reply(Reply),
    /// Somebody outside is to be asked; then the command comes back with [`Part::Record`].
    Call(OutsideCall),
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
    pub(crate) known: Known,
    pub(crate) writes: Writes,
}

/// The rows that a transaction is going to write at its end, and the announcements for after it.
#[derive(Default)]
pub(crate) struct Writes {
    inserts: Vec<NewInboxEntry>,
    closes: Vec<NewInboxEntry>,
    pub(crate) announcements: Announcements,
}

impl CommandBatch<'_> {
    /// Carries out the due part of one command.
    pub(crate) async fn carry_out(
        &mut self,
        tx: &mut PgConnection,
        received: &ReceivedCommand,
    ) -> Result<FollowUp, Failure> {
        match &received.part {
            Part::First => self.first(tx, received).await,
            Part::Record { .. } => self.record(tx, received).await,
        }
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

    async fn first(&mut self, tx: &mut PgConnection, received: &ReceivedCommand) -> Result<FollowUp, Failure> {
        let id = &received.envelope.command_id;
        let ruling = self.known.rule(id);
        let new = matches!(ruling, Ruling::Run { .. } | Ruling::Null { .. });
        if new && received.envelope.deadline < self.now {
            let text = format!("its deadline, {}, had passed when a worker took it up", received.envelope.deadline);
            return Ok(FollowUp::Reply(Reply::fault(FAULT_COMMAND_EXPIRED, text)));
        }
        let in_doubt = match ruling {
            Ruling::Answer(outcome) => return Ok(FollowUp::Reply(Reply { outcome, ending: Ending::Again })),
            Ruling::Resume(prepared) => return Ok(FollowUp::Call(outside_call(received, prepared, true)?)),
            Ruling::Null { tombstone } => {
                let outcome = received.null_outcome()?;
                self.insert(received, tombstone, InboxEntry::tombstone());
                self.insert(received, id.clone(), InboxEntry::Done(outcome.clone()));
                return Ok(FollowUp::Reply(Reply { outcome, ending: Ending::Null }));
            }
            Ruling::Run { in_doubt } => in_doubt,
        };
        let mut context = received.context(self.now);
        context.action_in_doubt.clone_from(&in_doubt);
        let led_to = run_in_mode(tx, self.mode, received, &mut context).await?;
        if let Some(action) = in_doubt {
            self.close(received, action, InboxEntry::tombstone());
        }
        match led_to {
            Prepared::Call(prepared) => {
                self.insert(received, id.clone(), InboxEntry::Prepared(prepared.clone()));
                self.keep(received, context)?;
                Ok(FollowUp::Call(outside_call(received, prepared, false)?))
            }
            Prepared::Answered(response) => {
                let (entry, reply) = self.answered(received, context, response)?;
                self.insert(received, id.clone(), entry);
                Ok(FollowUp::Reply(reply))
            }
        }
    }

    async fn record(&mut self, tx: &mut PgConnection, received: &ReceivedCommand) -> Result<FollowUp, Failure> {
        let id = &received.envelope.command_id;
        match self.known.get(id) {
            Some(InboxEntry::Prepared(_)) => {}
            // Recorded by another worker, or taken back in the meantime: that is the answer, and this one is void.
            Some(InboxEntry::Done(outcome) | InboxEntry::Refused(outcome) | InboxEntry::Tombstone(outcome)) => {
                return Ok(FollowUp::Reply(Reply { outcome: outcome.clone(), ending: Ending::Again }));
            }
            None => {
                return Err(HandlerError::fault("the intent of this outside call is gone from the inbox").into());
            }
        }
        let mut context = received.context(self.now);
        match run_in_mode(tx, self.mode, received, &mut context).await? {
            Prepared::Answered(response) => {
                let (entry, reply) = self.answered(received, context, response)?;
                self.close(received, id.clone(), entry);
                Ok(FollowUp::Reply(reply))
            }
            Prepared::Call(_) => Err(HandlerError::fault("a record cannot ask for another call").into()),
        }
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

/// The call that a prepare has stored.
fn outside_call(received: &ReceivedCommand, prepared: String, resumed: bool) -> Result<OutsideCall, HandlerError> {
    match &received.registered.handler {
        AnyHandler::Outside(handler) => Ok(OutsideCall { handler: Arc::clone(handler), prepared, resumed }),
        // Prepared by a version of the program whose handler called outside, which this version's does not.
        AnyHandler::Local(_) => Err(HandlerError::fault("the call that an earlier version prepared is not made here")),
    }
}

/// Runs a handler so that, alone, a refusal after writes takes them back.
async fn run_in_mode(
    tx: &mut PgConnection,
    mode: Mode,
    received: &ReceivedCommand,
    context: &mut Context,
) -> Result<Prepared, Failure> {
    if mode == Mode::Together {
        return Ok(handle(tx, received, context).await?);
    }
    let mut savepoint = Connection::begin(tx).await?;
    match handle(&mut savepoint, received, context).await {
        Ok(handled) => {
            savepoint.commit().await?;
            Ok(handled)
        }
        Err(HandlerError::Refused(refusal)) => {
            savepoint.rollback().await?;
            context.forget();
            Ok(Prepared::Answered(Response::of(&Outcome::<()>::Refused(refusal))?))
        }
        Err(error) => Err(error.into()),
    }
}

async fn handle(
    tx: &mut PgConnection,
    received: &ReceivedCommand,
    context: &mut Context,
) -> Result<Prepared, HandlerError> {
    let command = received.decode()?;
    let run = async {
        match (&received.part, &received.registered.handler) {
            (Part::First, AnyHandler::Local(handler)) => {
                handler.handle(tx, command, context).await.map(Prepared::Answered)
            }
            (Part::First, AnyHandler::Outside(handler)) => handler.prepare(tx, command, context).await,
            (Part::Record { handler, prepared, answer }, _) => {
                handler.record(tx, command, prepared, answer, context).await.map(Prepared::Answered)
            }
        }
    };
    guarded(run).await
}
