//! Handlers of different commands behind one type, so that a table by name can hold them.

use std::{any::Any, future::Future, marker::PhantomData, pin::Pin};

use contract::{Outcome, command::Command, limits::PAYLOAD_BYTES_MAX};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::{
    context::Context,
    handler::{Handled, Handler, HandlerError, OutsideHandler, Prepare},
};

/// A future of a handler.
pub(crate) type Run<'a, T> = Pin<Box<dyn Future<Output = Result<T, HandlerError>> + Send + 'a>>;

/// A decoded command.
pub(crate) type AnyCommand = Box<dyn Any + Send + Sync>;

/// What a call learned.
pub(crate) type AnyAnswer = Box<dyn Any + Send + Sync>;

/// A handler's answer as it is stored and sent: JSON text, of which every copy is the same bytes (S5).
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

/// A business's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// As it is stored and sent.
    pub(crate) outcome: StoredOutcome,
    /// The refusal's code, when it is a no.
    pub(crate) refusal: Option<String>,
}

impl Answer {
    pub(crate) fn of<R: serde::Serialize>(outcome: &Outcome<R>) -> Result<Self, HandlerError> {
        let refusal = match outcome {
            Outcome::Refused(refusal) => Some(refusal.code.clone()),
            Outcome::Done { .. } | Outcome::Faulted(_) => None,
        };
        Ok(Self { outcome: StoredOutcome::of(outcome)?, refusal })
    }
}

/// What the first transaction of a command leads to.
pub(crate) enum First {
    /// The command is answered.
    Answered(Answer),
    /// The outside has to be asked, with this JSON.
    Call(String),
}

/// A handler of any command, local or outside.
pub(crate) trait AnyHandler: Send + Sync {
    /// Reads the payload.
    fn decode(&self, payload: &RawValue) -> Result<AnyCommand, serde_json::Error>;

    /// Whether it may ask somebody outside.
    fn is_outside(&self) -> bool;

    /// Handles a local command; prepares an outside one.
    fn first<'a>(&'a self, tx: &'a mut PgConnection, command: AnyCommand, context: &'a mut Context) -> Run<'a, First>;

    /// Asks outside. Never asked of a local handler.
    fn call<'a>(&'a self, prepared: &'a str, resumed: bool) -> Run<'a, AnyAnswer>;

    /// Records what the outside said. Never asked of a local handler.
    fn record<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        command: AnyCommand,
        prepared: &'a str,
        answer: &'a AnyAnswer,
        context: &'a mut Context,
    ) -> Run<'a, Answer>;
}

/// See [`AnyHandler`].
pub(crate) struct Local<C, H>(H, PhantomData<fn() -> C>);

impl<C, H> Local<C, H> {
    pub(crate) fn new(handler: H) -> Self {
        Self(handler, PhantomData)
    }
}

/// See [`AnyHandler`].
pub(crate) struct Outside<C, H>(H, PhantomData<fn() -> C>);

impl<C, H> Outside<C, H> {
    pub(crate) fn new(handler: H) -> Self {
        Self(handler, PhantomData)
    }
}

impl<C: Command, H: Handler<C>> AnyHandler for Local<C, H> {
    fn decode(&self, payload: &RawValue) -> Result<AnyCommand, serde_json::Error> {
        decode::<C>(payload)
    }

    fn is_outside(&self) -> bool {
        false
    }

    fn first<'a>(&'a self, tx: &'a mut PgConnection, command: AnyCommand, context: &'a mut Context) -> Run<'a, First> {
        Box::pin(async move {
            let handled = self.0.handle(tx, taken::<C>(command)?, context).await;
            Ok(First::Answered(stored(handled)?))
        })
    }

    fn call<'a>(&'a self, _prepared: &'a str, _resumed: bool) -> Run<'a, AnyAnswer> {
        Box::pin(async { Err(not_outside()) })
    }

    fn record<'a>(
        &'a self,
        _tx: &'a mut PgConnection,
        _command: AnyCommand,
        _prepared: &'a str,
        _answer: &'a AnyAnswer,
        _context: &'a mut Context,
    ) -> Run<'a, Answer> {
        Box::pin(async { Err(not_outside()) })
    }
}

impl<C: Command, H: OutsideHandler<C>> AnyHandler for Outside<C, H> {
    fn decode(&self, payload: &RawValue) -> Result<AnyCommand, serde_json::Error> {
        decode::<C>(payload)
    }

    fn is_outside(&self) -> bool {
        true
    }

    fn first<'a>(&'a self, tx: &'a mut PgConnection, command: AnyCommand, context: &'a mut Context) -> Run<'a, First> {
        Box::pin(async move {
            let command = taken::<C>(command)?;
            match self.0.prepare(tx, &command, context).await? {
                Prepare::Call(prepared) => {
                    let json = serde_json::to_string(&prepared);
                    json.map(First::Call)
                        .map_err(|error| HandlerError::fault(format!("the intent cannot be written: {error}")))
                }
                Prepare::Answer(outcome) => Ok(First::Answered(stored(Ok(outcome))?)),
            }
        })
    }

    fn call<'a>(&'a self, prepared: &'a str, resumed: bool) -> Run<'a, AnyAnswer> {
        Box::pin(async move {
            let prepared = read_prepared::<H::Prepared>(prepared)?;
            let answer = self.0.call(&prepared, resumed).await?;
            Ok(Box::new(answer) as AnyAnswer)
        })
    }

    fn record<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        command: AnyCommand,
        prepared: &'a str,
        answer: &'a AnyAnswer,
        context: &'a mut Context,
    ) -> Run<'a, Answer> {
        Box::pin(async move {
            let command = taken::<C>(command)?;
            let prepared = read_prepared::<H::Prepared>(prepared)?;
            let answer = answer
                .downcast_ref::<H::Answer>()
                .ok_or_else(|| HandlerError::fault("the answer to be recorded is not this handler's"))?
                .clone();
            stored(self.0.record(tx, command, prepared, answer, context).await)
        })
    }
}

fn decode<C: Command>(payload: &RawValue) -> Result<AnyCommand, serde_json::Error> {
    serde_json::from_str::<C>(payload.get()).map(|command| Box::new(command) as AnyCommand)
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
fn stored<R: serde::Serialize>(handled: Handled<R>) -> Result<Answer, HandlerError> {
    match handled? {
        Outcome::Faulted(fault) => Err(HandlerError::fault(fault.message)),
        outcome @ (Outcome::Done { .. } | Outcome::Refused(_)) => Answer::of(&outcome),
    }
}

fn not_outside() -> HandlerError {
    HandlerError::fault("a local command has no outside part")
}
