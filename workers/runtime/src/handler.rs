//! What a domain writes: handlers, and the ways in which they end.

use std::{future::Future, sync::Arc};

use contract::{
    Refusal,
    command::{Command, FAULT_DEPENDENCY_FAILED, Outcome},
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::PgConnection;

use crate::context::Context;

/// How a handler ends. `Ok` carries the business's answer, `Err` what kept it from one.
///
/// Return `Ok(Outcome::done(..))` or `Ok(Outcome::refused(..))`. Both keep what was written, so a refusal is returned
/// before anything is written; when it is found out only after a write, or by a constraint, return
/// [`HandlerError::refused`] instead, which takes the writes back. The conformance kit's `check_refusal` holds this.
/// Never return `Ok(Outcome::Faulted(..))`: faults are `Err`.
pub type Handled<R> = Result<Outcome<R>, HandlerError>;

/// Why a handler gave no answer of its own.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The database failed. A lost connection is waited for and the command run again; anything else is answered
    /// as a fault.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A business no that was found out after something was written, or because a constraint was violated: the
    /// handler's writes are undone, then the refusal is stored and answered.
    ///
    /// It costs the batch: everybody in it starts over alone. Where a no is common, find it out with one
    /// conditional statement that writes nothing, and return `Ok(Outcome::refused(..))`.
    #[error("refused ({}): {}", .0.code, .0.message)]
    Refused(Refusal),
    /// Something else failed, and surely had no effect: answered as a fault, for the orchestrator to retry.
    #[error("{message}")]
    Fault {
        /// A stable word.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// Only from [`OutsideHandler::call`]: nobody can tell whether it took effect. It is called again, with
    /// `resumed`, until the command's deadline; then it stays unanswered, which the orchestrator reads as in doubt.
    #[error("the outcome is unclear: {message}")]
    Unclear {
        /// For people.
        message: String,
    },
}

impl HandlerError {
    /// A business no whose writes must be undone; see [`HandlerError::Refused`].
    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        Self::Refused(Refusal { code: code.to_owned(), message: message.into() })
    }

    /// A technical failure that surely had no effect.
    pub fn fault(message: impl Into<String>) -> Self {
        Self::Fault { code: FAULT_DEPENDENCY_FAILED, message: message.into() }
    }

    /// An outside call whose effect is unknown.
    pub fn unclear(message: impl Into<String>) -> Self {
        Self::Unclear { message: message.into() }
    }
}

/// Carries out one kind of command within a transaction that the runtime begins and commits.
///
/// Implement it with `async fn handle(..)`. One type may implement it for several commands. The handler may be run
/// more than once for one command (after a rollback), and other commands run in the same transaction: so nothing
/// outside of `tx` may be changed, and time comes from `context.now`.
///
/// As a compensation it is only called when its action took effect, must never refuse (S12), and needs nothing but
/// its command and its own rows.
pub trait Handler<C: Command>: Send + Sync + 'static {
    /// Does the work.
    fn handle(
        &self,
        tx: &mut PgConnection,
        command: C,
        context: &mut Context,
    ) -> impl Future<Output = Handled<C::Reply>> + Send;
}

impl<C: Command, H: Handler<C>> Handler<C> for Arc<H> {
    fn handle(
        &self,
        tx: &mut PgConnection,
        command: C,
        context: &mut Context,
    ) -> impl Future<Output = Handled<C::Reply>> + Send {
        H::handle(self, tx, command, context)
    }
}

/// Carries out one kind of command that needs somebody outside, such as a payment provider, in three parts: no
/// transaction is open while the outside is awaited.
///
/// ```text
///  prepare (transaction)  stores the intent --> call (outside) --> record (transaction) stores the outcome
///       ^ first delivery                          ^ redelivery after a crash resumes here, with `resumed`
/// ```
///
/// The key for the provider is [`Context::idempotency_key`], known in `prepare`: put it into `Prepared`.
///
/// As a compensation: when its action is prepared but not recorded, the action is *in doubt*
/// ([`Context::action_in_doubt`]). Its record can no longer happen by then, but its call may still be on the way, so
/// the compensation's call has to make sure at the provider, by the action's key, that nothing stays or appears.
pub trait OutsideHandler<C: Command>: Send + Sync + 'static {
    /// What the call needs, and a resumed call after a restart; stored as JSON until the record.
    type Prepared: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What the call learned. Cloned when the record has to be run again.
    type Answer: Clone + Send + Sync + 'static;

    /// Decides in a transaction what is to be asked for, and writes the intent's business rows.
    fn prepare(
        &self,
        tx: &mut PgConnection,
        command: &C,
        context: &mut Context,
    ) -> impl Future<Output = Result<Prepare<Self::Prepared, C::Reply>, HandlerError>> + Send;

    /// Asks outside. `resumed` says that an earlier call may have been made: look that up first. Is given up as
    /// [`HandlerError::Unclear`] after [`crate::limits::OUTSIDE_CALL_MAX`].
    fn call(
        &self,
        prepared: &Self::Prepared,
        resumed: bool,
    ) -> impl Future<Output = Result<Self::Answer, HandlerError>> + Send;

    /// Writes down in a transaction what the call learned, and answers. A refusal keeps what it writes here: so it can
    /// clear what the prepare has written.
    fn record(
        &self,
        tx: &mut PgConnection,
        command: C,
        prepared: Self::Prepared,
        answer: Self::Answer,
        context: &mut Context,
    ) -> impl Future<Output = Handled<C::Reply>> + Send;
}

impl<C: Command, H: OutsideHandler<C>> OutsideHandler<C> for Arc<H> {
    type Prepared = H::Prepared;
    type Answer = H::Answer;

    fn prepare(
        &self,
        tx: &mut PgConnection,
        command: &C,
        context: &mut Context,
    ) -> impl Future<Output = Result<Prepare<Self::Prepared, C::Reply>, HandlerError>> + Send {
        H::prepare(self, tx, command, context)
    }

    fn call(
        &self,
        prepared: &Self::Prepared,
        resumed: bool,
    ) -> impl Future<Output = Result<Self::Answer, HandlerError>> + Send {
        H::call(self, prepared, resumed)
    }

    fn record(
        &self,
        tx: &mut PgConnection,
        command: C,
        prepared: Self::Prepared,
        answer: Self::Answer,
        context: &mut Context,
    ) -> impl Future<Output = Handled<C::Reply>> + Send {
        H::record(self, tx, command, prepared, answer, context)
    }
}

/// What a prepare decides.
#[derive(Debug, Clone)]
pub enum Prepare<P, R> {
    /// The outside has to be asked, with this.
    Call(P),
    /// Nothing outside is needed: this is the answer.
    Answer(Outcome<R>),
}
