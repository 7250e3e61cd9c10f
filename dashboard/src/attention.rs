//! The sagas that need a person, and those that did when an open page showed them: what all open lists of them share.

use std::{collections::HashMap, sync::Arc};

use contract::{SagaId, orchestrator_api::SagaSummary, saga::SagaStatus};

use crate::looks::Looks;

/// The looks of open lists, by the word of a role. Each list wishes for its own rows.
pub(crate) type AttentionLooks = Looks<&'static str, Arc<[SagaId]>, Arc<Attention>>;

/// The outcome of one look.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Attention {
    /// The newest sagas that need a person, newest first.
    pub(crate) newest: Vec<SagaId>,
    /// These sagas, and those that lists show. None for one that there is not any more.
    pub(crate) sagas: HashMap<SagaId, Option<SagaSummary>>,
    /// The acts that were done last on sagas that need nobody any more, in words.
    pub(crate) acts: HashMap<SagaId, String>,
}

impl Attention {
    /// True when each of these was looked for.
    pub(crate) fn has_all(&self, shown: &[SagaId]) -> bool {
        shown.iter().all(|id| self.sagas.contains_key(id))
    }

    /// How many need a person that a list does not show: all of them, or only those newer than its last one where older ones
    /// stand on its next page.
    pub(crate) fn unseen(&self, shown: &[SagaId], is_whole: bool) -> usize {
        let last = shown.iter().min();
        let within = |id: &SagaId| is_whole || last.is_none_or(|last| id > last);
        self.newest.iter().filter(|id| within(id) && !shown.contains(id)).count()
    }

    /// Why a saga needs nobody any more; none while it does.
    pub(crate) fn why_gone(&self, saga: &SagaSummary) -> Option<&str> {
        let done = self.acts.get(&saga.id).map_or("needs nobody any more", String::as_str);
        (saga.status != SagaStatus::NeedsAttention).then_some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> SagaId {
        format!("saga_{number:032x}").parse().unwrap()
    }

    #[test]
    fn what_a_list_does_not_show_is_counted_and_what_stands_on_its_next_page_is_not() {
        let seen = Attention { newest: [9, 6, 4, 2].map(id).into(), ..Attention::default() };
        let shown = [id(6), id(4)];
        assert_eq!((seen.unseen(&shown, true), seen.unseen(&shown, false)), (2, 1));
        assert_eq!(seen.unseen(&[], true), 4);
        assert!(!seen.has_all(&shown) && seen.has_all(&[]));
    }
}
