//! The side of a command that a domain writes: handlers, and the ways in which they end.

use std::future::Future;

use contract::command::{Command, Outcome};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::PgConnection;

use crate::{context::Context, handler_error::HandlerError};

/// How a handler ends. `Ok` carries the business's answer, `Err` what kept it from one.
///
/// Return `Ok(Outcome::done(..))` or `Ok(Outcome::refused(..))`. Both keep what was written, so a refusal is returned
/// before anything is written; when it is found out only after a write, or by a constraint, return
/// [`HandlerError::refused`] instead, which takes the writes back. The conformance kit's `check_refusal` holds this.
/// Never return `Ok(Outcome::Faulted(..))`: faults are `Err`.
pub type Handled<R> = Result<Outcome<R>, HandlerError>;

/// An outcome and the surroundings back for each member of a set.
type MembersHandled<R> = Result<Vec<(Outcome<R>, Context)>, HandlerError>;

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

    /// Does the work of some commands of different sagas: one after the other, but for a [`SetHandler`].
    #[doc(hidden)]
    fn handle_set(
        &self,
        tx: &mut PgConnection,
        set: Vec<Member<C>>,
    ) -> impl Future<Output = MembersHandled<C::Reply>> + Send {
        async move {
            let mut handled = Vec::with_capacity(set.len());
            for Member { command, mut context } in set {
                let outcome = self.handle(&mut *tx, command, &mut context).await?;
                handled.push((outcome, context));
            }
            Ok(handled)
        }
    }
}

/// How a set of commands ends: an outcome for each, in their order. An `Err` is about the whole set: it is rolled back
/// and tried in halves, down to the one command that is in the way.
pub type SetHandled<R> = Result<Vec<Outcome<R>>, HandlerError>;

/// One command of a set, and its surroundings.
#[derive(Debug)]
pub struct Member<C> {
    /// The command as it was sent.
    pub command: C,
    /// The command's own surroundings; what is announced here is announced for it alone.
    pub context: Context,
}

/// Carries out all commands of one kind in a batch at once: one ordered lock and one write for all of them, where a
/// [`Handler`] would take a lock and write for each. A type implements either of the two for a command, and is registered
/// in the same way.
///
/// The commands are of different sagas; everything else that [`Handler`] says holds for each of them. A member that is
/// refused keeps no other from being done: its `Outcome::refused(..)` stands at its place, and nothing is written for it.
/// When two members want the same last piece, the earlier one has it.
pub trait SetHandler<C: Command>: Send + Sync + 'static {
    /// Does the work of all; an outcome for each, in their order.
    fn handle_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Member<C>],
    ) -> impl Future<Output = SetHandled<C::Reply>> + Send;
}

impl<C: Command, H: SetHandler<C>> Handler<C> for H {
    async fn handle(&self, tx: &mut PgConnection, command: C, context: &mut Context) -> Handled<C::Reply> {
        let fresh = Context::new(context.command_id.clone(), context.attempt, context.now);
        let mut set = [Member { command, context: std::mem::replace(context, fresh) }];
        let handled = self.handle_many(tx, &mut set).await;
        let [member] = set;
        *context = member.context;
        let mut outcomes = handled?;
        match (outcomes.pop(), outcomes.is_empty()) {
            (Some(outcome), true) => Ok(outcome),
            _ => Err(HandlerError::fault("a set of one command has not one outcome")),
        }
    }

    async fn handle_set(&self, tx: &mut PgConnection, mut set: Vec<Member<C>>) -> MembersHandled<C::Reply> {
        let outcomes = self.handle_many(tx, &mut set).await?;
        one_for_each(outcomes.len(), set.len())?;
        Ok(outcomes.into_iter().zip(set.into_iter().map(|member| member.context)).collect())
    }
}

/// Holds a handler to its promise of one result for each command of a set.
pub(crate) fn one_for_each(results: usize, commands: usize) -> Result<(), HandlerError> {
    if results == commands {
        return Ok(());
    }
    Err(HandlerError::fault(format!("{results} of {commands} commands of a set have a result")))
}

/// Carries out one kind of command that needs somebody outside, such as a payment provider, in three parts: no
/// transaction is open while the outside is awaited.
///
/// ```text
///  prepare (transaction)  stores the intent --> call (outside) --> record (transaction) stores the outcome
///       ^ first delivery                          ^ redelivery after a crash resumes here, with `resumed`
/// ```
///
/// The commands of a batch are prepared in sets, called one by one, and recorded in sets as their answers come in;
/// everything that [`SetHandler`] says of sets holds for both. The key for the provider is [`Context::idempotency_key`],
/// known when it is prepared: put it into `Prepared`.
///
/// As a compensation: when its action is prepared but not recorded, the action is *in doubt*
/// ([`Context::action_in_doubt`]). Its record can no longer happen by then, but its call may still be on the way, so
/// the compensation's call has to make sure at the provider, by the action's key, that nothing stays or appears.
pub trait OutsideHandler<C: Command>: Send + Sync + 'static {
    /// The needs of the call, and of a resumed call after a restart; stored as JSON until the record.
    type Prepared: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The outside's answer. Cloned when the record has to be run again.
    type Answer: Clone + Send + Sync + 'static;

    /// Decides in a transaction what is to be asked for, and writes the intents' business rows; a decision for each
    /// member, in their order.
    fn prepare_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Member<C>],
    ) -> impl Future<Output = Decided<Self, C>> + Send;

    /// Asks outside. `resumed` says that an earlier call may have been made: look that up first. Is given up as
    /// [`HandlerError::Unclear`] after [`crate::limits::OUTSIDE_CALL_MAX`].
    fn call(
        &self,
        prepared: &Self::Prepared,
        resumed: bool,
    ) -> impl Future<Output = Result<Self::Answer, HandlerError>> + Send;

    /// Writes down in a transaction what the calls learned, and answers each, in their order. A refusal keeps what it
    /// writes here: so it can clear what the prepare has written.
    fn record_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Recording<C, Self::Prepared, Self::Answer>],
    ) -> impl Future<Output = SetHandled<C::Reply>> + Send;
}

/// How the prepare of a set ends: a decision for each command, in their order. An `Err` is about the whole set, as in
/// [`SetHandled`].
pub type Decided<H, C> = Result<Vec<Prepare<<H as OutsideHandler<C>>::Prepared, <C as Command>::Reply>>, HandlerError>;

/// The decision of a prepare.
#[derive(Debug, Clone)]
pub enum Prepare<P, R> {
    /// The outside has to be asked, with this.
    Call(P),
    /// Nothing outside is needed: this is the answer.
    Answer(Outcome<R>),
}

/// One command of a set whose call was answered.
#[derive(Debug)]
pub struct Recording<C, P, A> {
    /// The command as it was sent.
    pub command: C,
    /// The prepare's decision.
    pub prepared: P,
    /// The outside's answer.
    pub answer: A,
    /// The command's own surroundings.
    pub context: Context,
}
