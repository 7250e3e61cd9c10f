//! One order for the rows of a batch with commands of several kinds.
//!
//! The commands of one kind lock their rows at once and in order. Those of another kind come after them in the same
//! transaction, so without more a worker could hold what another one's second kind needs, while that one holds what its own
//! second kind needs. Before the first of several kinds is carried out, the domain therefore locks the rows of all.

use std::{any::Any, future::Future};

use contract::command::Command;
use sqlx::PgConnection;

use crate::{
    erased::{AnyCommand, Run},
    handler_error::HandlerError,
};

/// The commands that one transaction carries out, of whatever kinds they are.
#[derive(Debug, Clone)]
pub struct Batch<'a>(Vec<&'a (dyn Any + Send + Sync)>);

impl<'a> Batch<'a> {
    pub(crate) fn new(commands: impl IntoIterator<Item = &'a AnyCommand>) -> Self {
        Self(commands.into_iter().map(|command| &**command).collect())
    }

    /// Those of one kind, in their order.
    pub fn of<C: Command>(&self) -> impl Iterator<Item = &'a C> {
        self.0.iter().filter_map(|command| command.downcast_ref())
    }
}

/// A domain's one order of locks. To be given to every domain whose commands of different kinds may lock the same rows.
pub trait LockOrder: Send + Sync + 'static {
    /// Locks all rows that the commands of a batch are going to lock, by one statement, in the order in which the
    /// handlers' own statements lock theirs. Rows that only a command of the batch will make are left out. It is
    /// called for batches of several kinds; changes nothing, and judges nothing.
    fn lock(&self, tx: &mut PgConnection, batch: &Batch<'_>) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// A [`LockOrder`] of any domain.
pub(crate) trait AnyLockOrder: Send + Sync {
    fn lock<'a>(&'a self, tx: &'a mut PgConnection, batch: &'a Batch<'a>) -> Run<'a, ()>;
}

impl<L: LockOrder> AnyLockOrder for L {
    fn lock<'a>(&'a self, tx: &'a mut PgConnection, batch: &'a Batch<'a>) -> Run<'a, ()> {
        Box::pin(LockOrder::lock(self, tx, batch))
    }
}
