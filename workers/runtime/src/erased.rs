//! Handlers of different commands behind one type, so that a table by name can hold them.

use std::{any::Any, future::Future, marker::PhantomData, pin::Pin, sync::Arc};

use contract::{Outcome, command::Command, limits::PAYLOAD_BYTES_MAX};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::{
    context::Context,
    handler::{Handler, Member, OutsideHandler, Prepare, Recording, one_for_each},
    handler_error::HandlerError,
};

/// A future of a handler.
pub(crate) type Run<'a, T> = Pin<Box<dyn Future<Output = Result<T, HandlerError>> + Send + 'a>>;

/// A decoded command.
pub(crate) type AnyCommand = Box<dyn Any + Send + Sync>;

/// The answer of somebody outside, of any type.
pub(crate) type AnyAnswer = Box<dyn Any + Send + Sync>;

/// A handler's outcome as it is stored and sent: JSON text, of which every copy is the same bytes (S5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredOutcome(pub(crate) String);

impl StoredOutcome {
    /// # Errors
    /// When the reply cannot be written as JSON or is too long.
    pub(crate) fn of<R: serde::Serialize>(outcome: &Outcome<R>) -> Result<Self, HandlerError> {
        let text = serde_json::to_string(outcome)
            .map_err(|error| HandlerError::fault(format!("the reply cannot be written as JSON: {error}")))?;
        if text.len() > PAYLOAD_BYTES_MAX {
            return Err(HandlerError::fault(format!(
                "the reply has {} bytes, more than {PAYLOAD_BYTES_MAX}",
                text.len()
            )));
        }
        Ok(Self(text))
    }
}

/// The business's response to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    /// As it is stored and sent.
    pub(crate) outcome: StoredOutcome,
    /// The refusal's code, when it is a no.
    pub(crate) refusal: Option<String>,
}

impl Response {
    pub(crate) fn of<R: serde::Serialize>(outcome: &Outcome<R>) -> Result<Self, HandlerError> {
        let refusal = match outcome {
            Outcome::Refused(refusal) => Some(refusal.code.clone()),
            Outcome::Done { .. } | Outcome::Faulted(_) => None,
        };
        Ok(Self { outcome: StoredOutcome::of(outcome)?, refusal })
    }
}

/// The end of a command's first transaction.
pub(crate) enum Prepared {
    /// The command has its response.
    Answered(Response),
    /// The outside has to be asked, with this JSON.
    Call(String),
}

/// A handler of any command.
pub(crate) enum AnyHandler {
    /// One transaction does it all.
    Local(Box<dyn AnyLocal>),
    /// A transaction, a call to somebody outside, and another transaction.
    Outside(Arc<dyn AnyOutside>),
}

impl AnyHandler {
    pub(crate) fn local<C: Command>(handler: impl Handler<C>) -> Self {
        Self::Local(Box::new(Erased(handler, PhantomData::<fn() -> C>)))
    }

    pub(crate) fn outside<C: Command>(handler: impl OutsideHandler<C>) -> Self {
        Self::Outside(Arc::new(Erased(handler, PhantomData::<fn() -> C>)))
    }

    /// Does the first parts of some commands of different sagas; the end of each, in their order.
    pub(crate) fn first<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        set: Vec<(AnyCommand, Context)>,
    ) -> Run<'a, Vec<(Prepared, Context)>> {
        match self {
            Self::Local(handler) => handler.handle(tx, set),
            Self::Outside(handler) => handler.prepare(tx, set),
        }
    }
}

/// A [`Handler`] of any command.
pub(crate) trait AnyLocal: Send + Sync {
    /// Does the work of some commands of different sagas; the end of each, in their order.
    fn handle<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        set: Vec<(AnyCommand, Context)>,
    ) -> Run<'a, Vec<(Prepared, Context)>>;
}

/// One command of any kind whose call was answered.
pub(crate) struct AnyRecording<'a> {
    pub(crate) command: AnyCommand,
    /// The JSON that the prepare stored.
    pub(crate) prepared: &'a str,
    pub(crate) answer: &'a AnyAnswer,
    pub(crate) context: Context,
}

/// An [`OutsideHandler`] of any command.
pub(crate) trait AnyOutside: Send + Sync {
    /// Decides what is to be asked for some commands of different sagas; the end of each, in their order.
    fn prepare<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        set: Vec<(AnyCommand, Context)>,
    ) -> Run<'a, Vec<(Prepared, Context)>>;

    /// Asks somebody outside, without a transaction.
    fn call<'a>(&'a self, prepared: &'a str, resumed: bool) -> Run<'a, AnyAnswer>;

    /// Records what the outside said about some commands of different sagas; a response for each, in their order.
    fn record<'a>(&'a self, tx: &'a mut PgConnection, set: Vec<AnyRecording<'a>>) -> Run<'a, Vec<(Response, Context)>>;
}

/// A handler and the command that it is for.
struct Erased<C, H>(H, PhantomData<fn() -> C>);

impl<C: Command, H: Handler<C>> AnyLocal for Erased<C, H> {
    fn handle<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        set: Vec<(AnyCommand, Context)>,
    ) -> Run<'a, Vec<(Prepared, Context)>> {
        Box::pin(async move {
            let handled = self.0.handle_set(tx, members::<C>(set)?).await?;
            let answered = |(outcome, context)| Ok((Prepared::Answered(response(outcome)?), context));
            handled.into_iter().map(answered).collect()
        })
    }
}

impl<C: Command, H: OutsideHandler<C>> AnyOutside for Erased<C, H> {
    fn prepare<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        set: Vec<(AnyCommand, Context)>,
    ) -> Run<'a, Vec<(Prepared, Context)>> {
        Box::pin(async move {
            let mut set = members::<C>(set)?;
            let decided = self.0.prepare_many(tx, &mut set).await?;
            one_for_each(decided.len(), set.len())?;
            let prepared = |(decision, member): (Prepare<H::Prepared, C::Reply>, Member<C>)| {
                let prepared = match decision {
                    Prepare::Call(prepared) => Prepared::Call(
                        serde_json::to_string(&prepared)
                            .map_err(|error| HandlerError::fault(format!("the intent cannot be written: {error}")))?,
                    ),
                    Prepare::Answer(outcome) => Prepared::Answered(response(outcome)?),
                };
                Ok((prepared, member.context))
            };
            decided.into_iter().zip(set).map(prepared).collect()
        })
    }

    fn call<'a>(&'a self, prepared: &'a str, resumed: bool) -> Run<'a, AnyAnswer> {
        Box::pin(async move {
            let prepared = read_prepared::<H::Prepared>(prepared)?;
            let answer = self.0.call(&prepared, resumed).await?;
            Ok(Box::new(answer) as AnyAnswer)
        })
    }

    fn record<'a>(&'a self, tx: &'a mut PgConnection, set: Vec<AnyRecording<'a>>) -> Run<'a, Vec<(Response, Context)>> {
        Box::pin(async move {
            let read = |AnyRecording { command, prepared, answer, context }: AnyRecording<'a>| {
                let answer = answer.downcast_ref::<H::Answer>();
                let answer =
                    answer.ok_or_else(|| HandlerError::fault("the answer to be recorded is not this handler's"))?;
                let prepared = read_prepared::<H::Prepared>(prepared)?;
                Ok(Recording { command: taken::<C>(command)?, prepared, answer: answer.clone(), context })
            };
            let mut set = set.into_iter().map(read).collect::<Result<Vec<_>, HandlerError>>()?;
            let outcomes = self.0.record_many(tx, &mut set).await?;
            one_for_each(outcomes.len(), set.len())?;
            let responses = outcomes.into_iter().zip(set);
            responses.map(|(outcome, recording)| Ok((response(outcome)?, recording.context))).collect()
        })
    }
}

/// Reads a payload as the command `C`.
pub(crate) fn decode<C: Command>(payload: &RawValue) -> Result<AnyCommand, serde_json::Error> {
    serde_json::from_str::<C>(payload.get()).map(|command| Box::new(command) as AnyCommand)
}

fn members<C: Command>(set: Vec<(AnyCommand, Context)>) -> Result<Vec<Member<C>>, HandlerError> {
    set.into_iter().map(|(command, context)| Ok(Member { command: taken::<C>(command)?, context })).collect()
}

fn taken<C: Command>(command: AnyCommand) -> Result<C, HandlerError> {
    let command = command.downcast::<C>();
    command.map(|command| *command).map_err(|_| HandlerError::fault("the decoded command is not this handler's"))
}

fn read_prepared<P: serde::de::DeserializeOwned>(json: &str) -> Result<P, HandlerError> {
    serde_json::from_str(json)
        .map_err(|error| HandlerError::fault(format!("the stored intent is not readable by this version: {error}")))
}

/// A fault that a handler returns as an outcome is a fault all the same: it must not be stored.
fn response<R: serde::Serialize>(outcome: Outcome<R>) -> Result<Response, HandlerError> {
    match outcome {
        Outcome::Faulted(fault) => Err(HandlerError::fault(fault.message)),
        outcome @ (Outcome::Done { .. } | Outcome::Refused(_)) => Response::of(&outcome),
    }
}
