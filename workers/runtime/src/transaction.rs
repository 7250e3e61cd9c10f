//! One transaction over some commands: what the barrier rules, what handlers do, what is written at the end.

use chrono::{DateTime, Utc};
use contract::{CommandId, Op, Outcome, command::FAULT_EXPIRED, event::CloudEvent, limits::cut_error_text};
use futures::FutureExt;
use sqlx::{Connection, PgConnection};

use crate::{
    barrier::{Entry, Known, Ruling},
    context::Context,
    engine::Failure,
    erased::{Answer, First, StoredOutcome},
    events::{self, Events},
    handler::HandlerError,
    inbox::{self, NewEntry, Written},
    job::{Job, Work},
};

/// What is to be done for a command after the commit.
#[derive(Debug)]
pub(crate) enum Settled {
    /// Answer it.
    Reply(Reply),
    /// Ask outside, then come back with [`Work::Record`].
    Call {
        /// What the prepare stored.
        prepared: String,
        /// Whether an earlier call may have been made.
        resumed: bool,
    },
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

/// The work of one transaction, between its BEGIN and its COMMIT.
pub(crate) struct Transaction<'e> {
    pub(crate) mode: Mode,
    pub(crate) now: DateTime<Utc>,
    pub(crate) events: &'e Events,
    pub(crate) known: Known,
    pub(crate) writes: Writes,
}

/// What a transaction is going to write at its end, and do after it.
#[derive(Default)]
pub(crate) struct Writes {
    inserts: Vec<NewEntry>,
    settles: Vec<NewEntry>,
    pub(crate) events: Vec<CloudEvent>,
    pub(crate) after_commit: Vec<Box<dyn FnOnce() + Send + Sync>>,
}

impl Transaction<'_> {
    /// Carries out the due part of one command.
    pub(crate) async fn carry_out(&mut self, tx: &mut PgConnection, job: &Job) -> Result<Settled, Failure> {
        match &job.work {
            Work::First => self.first(tx, job).await,
            Work::Record { .. } => self.record(tx, job).await,
        }
    }

    /// Writes the inbox and the outbox, each in one statement. Everything after this is the COMMIT.
    pub(crate) async fn write(&mut self, tx: &mut PgConnection) -> Result<(), Failure> {
        let inserts = std::mem::take(&mut self.writes.inserts);
        let settles = std::mem::take(&mut self.writes.settles);
        for written in [inbox::insert(tx, inserts, self.now).await?, inbox::settle(tx, settles).await?] {
            if written == Written::Conflict {
                return Err(Failure::Conflict("another copy of this command is being carried out".to_owned()));
            }
        }
        if !self.writes.events.is_empty() {
            events::store(tx, &self.writes.events).await?;
        }
        Ok(())
    }

    async fn first(&mut self, tx: &mut PgConnection, job: &Job) -> Result<Settled, Failure> {
        let id = &job.envelope.command_id;
        let ruling = self.known.rule(id);
        let new = matches!(ruling, Ruling::Run { .. } | Ruling::Null { .. });
        if new && job.envelope.deadline < self.now {
            let text = format!("its deadline, {}, had passed when a worker took it up", job.envelope.deadline);
            return Ok(Settled::Reply(Reply::fault(FAULT_EXPIRED, text)));
        }
        let in_doubt = match ruling {
            Ruling::Answer(outcome) => return Ok(Settled::Reply(Reply { outcome, ending: Ending::Again })),
            Ruling::Resume(prepared) => return Ok(Settled::Call { prepared, resumed: true }),
            Ruling::Null { tombstone } => {
                let outcome = job.null_outcome()?;
                self.insert(job, tombstone, Entry::tombstone());
                self.insert(job, id.clone(), Entry::Done(outcome.clone()));
                return Ok(Settled::Reply(Reply { outcome, ending: Ending::Null }));
            }
            Ruling::Run { in_doubt } => in_doubt,
        };
        let mut context = job.context(self.now);
        context.action_in_doubt.clone_from(&in_doubt);
        let first = guarded(tx, self.mode, job, &mut context).await?;
        if let Some(action) = in_doubt {
            self.settle(job, action, Entry::tombstone());
        }
        match first {
            First::Call(prepared) => {
                self.insert(job, id.clone(), Entry::Prepared(prepared.clone()));
                self.keep(job, context)?;
                Ok(Settled::Call { prepared, resumed: false })
            }
            First::Answered(answer) => {
                let (entry, reply) = self.answered(job, context, answer)?;
                self.insert(job, id.clone(), entry);
                Ok(Settled::Reply(reply))
            }
        }
    }

    async fn record(&mut self, tx: &mut PgConnection, job: &Job) -> Result<Settled, Failure> {
        let id = &job.envelope.command_id;
        match self.known.get(id) {
            Some(Entry::Prepared(_)) => {}
            // Recorded by another worker, or taken back in the meantime: that is the answer, and this one is void.
            Some(Entry::Done(outcome) | Entry::Refused(outcome) | Entry::Tombstone(outcome)) => {
                return Ok(Settled::Reply(Reply { outcome: outcome.clone(), ending: Ending::Again }));
            }
            None => {
                return Err(HandlerError::fault("the intent of this outside call is gone from the inbox").into());
            }
        }
        let mut context = job.context(self.now);
        match guarded(tx, self.mode, job, &mut context).await? {
            First::Answered(answer) => {
                let (entry, reply) = self.answered(job, context, answer)?;
                self.settle(job, id.clone(), entry);
                Ok(Settled::Reply(reply))
            }
            First::Call(_) => Err(HandlerError::fault("a record cannot ask for another call").into()),
        }
    }

    fn answered(&mut self, job: &Job, context: Context, answer: Answer) -> Result<(Entry, Reply), Failure> {
        let outcome = answer.outcome;
        match answer.refusal {
            None => {
                self.keep(job, context)?;
                Ok((Entry::Done(outcome.clone()), Reply { outcome, ending: Ending::Done }))
            }
            // S12: a compensation that says no leaves the saga nowhere to go. It is a bug, and asked again.
            Some(code) if job.envelope.op() == Op::Compensation => {
                let text = format!("`{}` must not refuse, but did: {code}", job.registered.name);
                Err(HandlerError::fault(text).into())
            }
            Some(code) => Ok((Entry::Refused(outcome.clone()), Reply { outcome, ending: Ending::Refused { code } })),
        }
    }

    /// Keeps what the handler asked for beside its transaction.
    fn keep(&mut self, job: &Job, context: Context) -> Result<(), Failure> {
        if let Some(error) = context.broken_event {
            return Err(HandlerError::fault(format!("an event cannot be written as JSON: {error}")).into());
        }
        for event in context.events {
            let flow = Some(job.envelope.saga_id());
            let cause = Some(job.envelope.message_id.to_string());
            let trace = job.envelope.traceparent.clone();
            let event = self.events.cloud_event(event, self.now, flow, cause, trace);
            self.writes.events.push(event);
        }
        self.writes.after_commit.extend(context.after_commit);
        Ok(())
    }

    fn insert(&mut self, job: &Job, id: CommandId, entry: Entry) {
        self.known.note(id.clone(), entry.clone());
        self.writes.inserts.push(NewEntry { id, command: job.registered.name, entry });
    }

    fn settle(&mut self, job: &Job, id: CommandId, entry: Entry) {
        self.known.note(id.clone(), entry.clone());
        self.writes.settles.push(NewEntry { id, command: job.registered.name, entry });
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

/// Runs a handler so that its panic is a fault and, alone, so that a refusal after writes takes them back.
async fn guarded(tx: &mut PgConnection, mode: Mode, job: &Job, context: &mut Context) -> Result<First, Failure> {
    if mode == Mode::Together {
        return Ok(handle(tx, job, context).await?);
    }
    let mut savepoint = Connection::begin(tx).await?;
    match handle(&mut savepoint, job, context).await {
        Ok(handled) => {
            savepoint.commit().await?;
            Ok(handled)
        }
        Err(HandlerError::Refused(refusal)) => {
            savepoint.rollback().await?;
            context.forget();
            Ok(First::Answered(Answer::of(&Outcome::<()>::Refused(refusal))?))
        }
        Err(error) => Err(error.into()),
    }
}

async fn handle(tx: &mut PgConnection, job: &Job, context: &mut Context) -> Result<First, HandlerError> {
    let handler = &job.registered.handler;
    let command = job.decode()?;
    let run = async {
        match &job.work {
            Work::First => handler.first(tx, command, context).await,
            Work::Record { prepared, answer } => {
                handler.record(tx, command, prepared, answer, context).await.map(First::Answered)
            }
        }
    };
    match std::panic::AssertUnwindSafe(run).catch_unwind().await {
        Ok(result) => result,
        Err(_) => Err(HandlerError::fault("the handler panicked; the worker's log has the place")),
    }
}
