//! The participant barrier: what a command may do, given what the inbox knows of its step. Pure.
//!
//! ```text
//!  action        own row?  stored -> answer it again   prepared -> resume   none -> compensated? refuse : run
//!  extension     as an action: it is refused once its step is compensated, and the handler sees what is still held
//!  compensation  own row?  stored -> answer it again   prepared -> resume   none -> look at the action:
//!                          done -> run    prepared -> run, and turn its row into a tombstone (in doubt)
//!                          refused or unknown -> nothing to undo: leave a tombstone
//! ```
//!
//! A ruling stands on a reading of the inbox, and only the insert at the end of the transaction makes it true: when
//! another transaction was faster the key is taken, everything rolls back and is ruled anew. "Change instead
//! of check" is what makes an overlap of action and compensation converge (S9).

use std::collections::BTreeMap;

use contract::{CommandId, Op, Outcome, command::REFUSED_STEP_COMPENSATED};

use crate::erased::StoredOutcome;

/// One row of the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InboxEntry {
    /// It took effect.
    Done(StoredOutcome),
    /// A business no.
    Refused(StoredOutcome),
    /// An action that must never happen, because its compensation came first.
    Tombstone(StoredOutcome),
    /// An outside call was or is being made, with this JSON.
    Prepared(String),
}

impl InboxEntry {
    /// The row that keeps an action from ever happening.
    pub(crate) fn tombstone() -> Self {
        Self::Tombstone(compensated())
    }
}

/// The ruling on a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// It was carried out before: the same answer again.
    Answer(StoredOutcome),
    /// Its outside call was started before: go on there.
    Resume(String),
    /// Carry it out.
    Run {
        /// The action that is prepared but not recorded; its row becomes a tombstone together with this command's.
        in_doubt: Option<CommandId>,
    },
    /// Nothing to undo: answer the null reply, and keep this action from ever happening.
    Null {
        /// The action's key to be taken.
        tombstone: CommandId,
    },
}

/// The inbox's knowledge of some steps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(BTreeMap<CommandId, InboxEntry>);

impl Known {
    /// Notes a row, as read or as about to be written by this transaction.
    pub(crate) fn note(&mut self, id: CommandId, entry: InboxEntry) {
        self.0.insert(id, entry);
    }

    /// The row of this very command.
    pub(crate) fn get(&self, id: &CommandId) -> Option<&InboxEntry> {
        self.0.get(id)
    }

    /// Rules on a command.
    pub(crate) fn rule(&self, id: &CommandId) -> Ruling {
        match self.get(id) {
            Some(InboxEntry::Done(outcome) | InboxEntry::Refused(outcome) | InboxEntry::Tombstone(outcome)) => {
                Ruling::Answer(outcome.clone())
            }
            Some(InboxEntry::Prepared(prepared)) => Ruling::Resume(prepared.clone()),
            None => match id.op {
                Op::Action | Op::Extension => self.rule_new_action(id),
                Op::Compensation => self.rule_new_compensation(id),
            },
        }
    }

    fn rule_new_action(&self, id: &CommandId) -> Ruling {
        if self.of_step(id, Op::Compensation).next().is_some() {
            Ruling::Answer(compensated())
        } else {
            Ruling::Run { in_doubt: None }
        }
    }

    fn rule_new_compensation(&self, id: &CommandId) -> Ruling {
        // Asked again under a new generation: what is undone stays undone.
        let undone = self.of_step(id, Op::Compensation).find_map(|(_, entry)| match entry {
            InboxEntry::Done(outcome) => Some(outcome.clone()),
            InboxEntry::Refused(_) | InboxEntry::Tombstone(_) | InboxEntry::Prepared(_) => None,
        });
        if let Some(outcome) = undone {
            return Ruling::Answer(outcome);
        }
        let mut last_generation = 0;
        for (action, entry) in self.of_step(id, Op::Action) {
            match entry {
                InboxEntry::Done(_) => return Ruling::Run { in_doubt: None },
                InboxEntry::Prepared(_) => return Ruling::Run { in_doubt: Some(action.clone()) },
                InboxEntry::Refused(_) | InboxEntry::Tombstone(_) => last_generation = action.generation,
            }
        }
        // A next generation is only sent after this inbox refused the one before, so no other can be on its way.
        let generation = last_generation.saturating_add(1);
        Ruling::Null { tombstone: CommandId { op: Op::Action, generation, ..id.clone() } }
    }

    /// The step's rows of one direction, by rising generation.
    fn of_step<'a>(
        &'a self,
        id: &CommandId,
        op: Op,
    ) -> impl Iterator<Item = (&'a CommandId, &'a InboxEntry)> + use<'a> {
        let from = CommandId { op, generation: 0, ..id.clone() };
        let to = CommandId { op, generation: u16::MAX, ..id.clone() };
        self.0.range(from..=to)
    }
}

fn compensated() -> StoredOutcome {
    let outcome =
        Outcome::<()>::refused(REFUSED_STEP_COMPENSATED, "this step was taken back before it was carried out");
    StoredOutcome::of(&outcome).unwrap_or_else(|_| unreachable!("a refusal is written as JSON"))
}

#[cfg(test)]
mod tests {
    use contract::{SagaId, StepName};

    use super::*;

    fn id(step: &str, op: Op, generation: u16) -> CommandId {
        CommandId {
            saga: SagaId::from_uuid(uuid::Uuid::from_u128(7)),
            step: StepName::new(step).unwrap(),
            op,
            generation,
        }
    }

    fn done() -> StoredOutcome {
        StoredOutcome::of(&Outcome::done(1)).unwrap()
    }

    fn refused() -> StoredOutcome {
        StoredOutcome::of(&Outcome::<()>::refused("sold_out", "none left")).unwrap()
    }

    fn known(rows: &[(CommandId, InboxEntry)]) -> Known {
        let mut known = Known::default();
        for (id, entry) in rows {
            known.note(id.clone(), entry.clone());
        }
        known
    }

    #[test]
    fn a_new_command_runs_and_a_known_one_is_answered_again() {
        let action = id("hold", Op::Action, 1);
        assert_eq!(known(&[]).rule(&action), Ruling::Run { in_doubt: None });
        assert_eq!(known(&[(action.clone(), InboxEntry::Done(done()))]).rule(&action), Ruling::Answer(done()));
        assert_eq!(known(&[(action.clone(), InboxEntry::Refused(refused()))]).rule(&action), Ruling::Answer(refused()));
        let prepared = known(&[(action.clone(), InboxEntry::Prepared("{}".into()))]);
        assert_eq!(prepared.rule(&action), Ruling::Resume("{}".into()));
    }

    #[test]
    fn an_action_after_its_compensation_is_refused_whatever_its_generation() {
        let undone = known(&[(id("hold", Op::Compensation, 1), InboxEntry::Done(done()))]);
        for generation in [1, 2, 9] {
            assert_eq!(undone.rule(&id("hold", Op::Action, generation)), Ruling::Answer(compensated()));
        }
        assert_eq!(undone.rule(&id("hold-2", Op::Action, 1)), Ruling::Run { in_doubt: None });
    }

    #[test]
    fn a_compensation_undoes_only_what_took_effect_or_may_have() {
        let undo = id("hold", Op::Compensation, 1);
        let action = |generation| id("hold", Op::Action, generation);
        assert_eq!(known(&[]).rule(&undo), Ruling::Null { tombstone: action(1) });
        assert_eq!(
            known(&[(action(1), InboxEntry::Refused(refused()))]).rule(&undo),
            Ruling::Null { tombstone: action(2) }
        );
        assert_eq!(known(&[(action(1), InboxEntry::Done(done()))]).rule(&undo), Ruling::Run { in_doubt: None });
        assert_eq!(
            known(&[(action(1), InboxEntry::Refused(refused())), (action(2), InboxEntry::Done(done()))]).rule(&undo),
            Ruling::Run { in_doubt: None }
        );
        assert_eq!(
            known(&[(action(1), InboxEntry::Prepared("{}".into()))]).rule(&undo),
            Ruling::Run { in_doubt: Some(action(1)) }
        );
    }

    #[test]
    fn what_is_undone_stays_undone_under_a_new_generation() {
        let rows = [
            (id("hold", Op::Action, 1), InboxEntry::Done(done())),
            (id("hold", Op::Compensation, 1), InboxEntry::Done(refused())),
        ];
        assert_eq!(known(&rows).rule(&id("hold", Op::Compensation, 2)), Ruling::Answer(refused()));
    }
}
