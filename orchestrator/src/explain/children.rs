//! How the children stand that a saga waits for: by their rows and the quarantine, since their own lanes are not asked.

use contract::{SagaId, saga::SagaStatus};
use futures::future::try_join_all;
use journal::{Door, JournalError};
use machine::{ChildCall, State};

use crate::shared::Shared;

/// A child that a saga waits for.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) id: SagaId,
    /// None when it cannot be read.
    pub(super) status: Option<SagaStatus>,
    pub(super) paused: bool,
    /// The code for which it is left alone.
    pub(super) quarantine: Option<String>,
}

/// The children that a saga waits for.
pub(super) async fn of(shared: &Shared, state: &State) -> Result<Vec<Child>, JournalError> {
    let awaited = machine::owed_to_children(state).into_iter().filter_map(|call| match call {
        ChildCall::Begin(_) => None,
        ChildCall::Undo { child, .. } | ChildCall::Ask { child } => Some(look(shared, child)),
    });
    try_join_all(awaited).await
}

async fn look(shared: &Shared, id: SagaId) -> Result<Child, JournalError> {
    let (quarantined, found) =
        tokio::join!(shared.journal.quarantine_of(id), shared.journal.read(Door::Reads, id, u64::MAX));
    let quarantine = quarantined?.map(|quarantined| quarantined.code);
    let row = match found {
        Ok(found) => found.map(|found| found.row),
        // Its parent waits for it all the same.
        Err(JournalError::BrokenRow { .. } | JournalError::Damaged { .. } | JournalError::NewerReader { .. }) => None,
        Err(error) => return Err(error),
    };
    let paused = row.as_ref().is_some_and(|row| row.paused);
    Ok(Child { id, status: row.map(|row| row.status), paused, quarantine })
}
