//! Child sagas in a lane. They live on their parent's shard, so the whole of a family is decided here, one after the other.
//!
//! ```text
//!  a step starts a child     the child is begun in the same turn, and committed in the append of its parent
//!  the child ends            its append wakes the parent, which hears it in the next turn
//!  a child is to be undone   it hears that in the turn after the commit
//!  it is given up unread     its parent is awake from then on, and hears that; the row tells it again after a crash
//!  the parent is loaded      each child that it waits for is asked, so that nothing hangs on what a crash lost
//! ```

use contract::{SagaId, saga::Cause};
use machine::{ChildEnd, ChildStart, Input, codes::CAUSE_CHILD_UNSTARTABLE};

use super::{batch::BatchedSaga, input::PendingInput, sagas::Sagas, turn::Turn};
use crate::saga_instance::SagaInstance;

impl Turn<'_> {
    /// Begins the children that a saga of the batch has started, and theirs. One that cannot begin refuses its step.
    pub(super) fn begin_children(&mut self, id: SagaId) {
        let Some(saga) = self.batch.get(id) else { return };
        let begins = saga.take_begins();
        if begins.is_empty() {
            return;
        }
        let begins_with = saga.begins_with.unwrap_or(id);
        for start in begins {
            let child = start.child;
            match self.begin_child(id, start) {
                Ok(begun) => {
                    self.batch.add(BatchedSaga { begins_with: Some(begins_with), ..begun });
                    self.begin_children(child);
                }
                Err(cause) => {
                    let Some(saga) = self.batch.get(id) else { return };
                    let input = Input::ChildEnded { child, end: ChildEnd::Compensated { cause: Some(cause) } };
                    if let Err(parked) = saga.advance(&self.sagas.shared.catalog, &input, self.now.wall) {
                        let heard = self.batch.remove(id).map(|saga| saga.heard).unwrap_or_default();
                        self.leave_alone(id, parked, heard.into_iter().map(|(input, _)| input));
                        return;
                    }
                }
            }
        }
        // A child that could not begin may have led to others.
        self.begin_children(id);
    }

    fn begin_child(&mut self, id: SagaId, start: ChildStart) -> Result<BatchedSaga, Cause> {
        let ChildStart { child, parent, name, version, input } = start;
        let unstartable = |message: String| Cause {
            step: None,
            code: CAUSE_CHILD_UNSTARTABLE.to_owned(),
            message: format!("`{name}` version {version} cannot begin: {message}"),
            refused: false,
        };
        let definition = self.sagas.shared.catalog.get(name, version).cloned();
        let definition = definition.ok_or_else(|| unstartable("it is not defined".to_owned()))?;
        let named = self.batch.get(id).map(|saga| (saga.instance.traceparent, saga.instance.names.clone()));
        let named = named.ok_or_else(|| unstartable("its parent is gone".to_owned()))?;
        match SagaInstance::begin(&definition, child, Some(parent), input, named, self.now.wall) {
            Ok(Ok(begun)) => Ok(BatchedSaga::child(begun, id)),
            Ok(Err(refused)) => Err(unstartable(refused.to_string())),
            Err(parked) => Err(unstartable(parked.to_string())),
        }
    }
}

impl Sagas {
    /// Tells a parent that its child has ended.
    pub(super) fn tell_parent(&mut self, child: &SagaInstance) {
        if let (Some(parent), Some(end)) = (&child.state.parent, child.end()) {
            self.carried.inputs.push(PendingInput::child_ended(parent.saga_id, child.id(), end));
        }
    }

    /// Tells a parent that its child was given up unread.
    pub(super) fn tell_parent_of_given_up(&mut self, child: SagaId, parent: Option<SagaId>) {
        let told = parent.map(|parent| PendingInput::child_ended(parent, child, ChildEnd::Abandoned));
        self.carried.inputs.extend(told);
    }

    /// Asks the children that a saga waits for, after it was loaded.
    pub(super) fn ask_children(&mut self, saga: &SagaInstance) {
        let owed = machine::owed_to_children(&saga.state);
        self.carried.inputs.extend(owed.into_iter().filter_map(PendingInput::from_parent));
    }

    /// Has the parent of a saga loaded again that goes on after it was left alone: it heard nothing of its parent meanwhile.
    pub(super) fn ask_parent(&mut self, child: &SagaInstance) {
        if let Some(parent) = child.state.parent.as_ref().map(|parent| parent.saga_id) {
            self.memory.take(parent);
            self.recovery.doubt(parent);
            self.carried.inputs.push(PendingInput::timer(parent));
        }
    }

    /// True while a saga waits for a child that has not ended.
    pub(super) fn waits_for_child(&self, saga: &SagaInstance) -> bool {
        saga.children_awaited().any(|child| self.memory.is_open(child))
    }
}
