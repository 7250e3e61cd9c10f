//! The record of a run that has ended.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contract::{saga::SagaStatus, step::CommandId};

use super::participants::Participants;
use crate::{decision::CommandToSend, entry::Entry, state::State};

/// A run that has ended, with its world.
#[derive(Debug)]
pub struct Ended {
    /// The saga's state, which is the sum of the journal.
    pub state: State,
    /// The entries of the committed decisions, in order.
    pub journal: Vec<Vec<Entry>>,
    /// The commands that were published, those of `resume` included.
    pub sent: Vec<CommandToSend>,
    /// The participants, with what they did.
    pub participants: Participants,
    /// The time of the last event.
    pub now: DateTime<Utc>,
}

impl Ended {
    /// True when both runs, of one script, ended as they should: in the same way, unless the saga was turned around
    /// and some compensation did not go well. Which steps are undone depends on which refusal came first, so that
    /// compensation may not have been needed.
    #[must_use]
    pub fn ends_like(&self, other: &Self) -> bool {
        let turned = self.state.cause.is_some() && other.state.cause.is_some();
        let stuck = [self, other].iter().any(|run| run.state.status == SagaStatus::NeedsAttention);
        self.outcome() == other.outcome() || (turned && stuck)
    }

    /// True when an operator's action was taken.
    #[must_use]
    pub fn was_acted_on(&self) -> bool {
        self.journal.iter().flatten().any(|entry| matches!(entry, Entry::OperatorActed { .. }))
    }

    /// The end of the run: the status, and the steps whose effect stands.
    #[must_use]
    pub fn outcome(&self) -> (SagaStatus, Vec<String>) {
        let standing = self.participants.effects.keys().filter(|step| self.participants.stands(step));
        (self.state.status, standing.map(ToString::to_string).collect())
    }
}

/// The payloads by command id, or an id that was sent with two.
pub(super) fn payloads(sent: &[CommandToSend]) -> Result<BTreeMap<&CommandId, &str>, CommandId> {
    let mut payloads = BTreeMap::new();
    for command in sent {
        let payload = command.payload.get();
        if payloads.insert(&command.command_id, payload).is_some_and(|before| before != payload) {
            return Err(command.command_id.clone());
        }
    }
    Ok(payloads)
}
