//! The parts of an append: the record with its saga's row, the children that begin with it, and who sleeps.

use chrono::SubsecRound;
use contract::SagaId;

use super::storage::Tables;
use crate::port::{Append, Appended, Begun, Family, Record, Sleep};

impl Tables {
    /// Writes all of it, or nothing.
    pub(super) fn append(&mut self, append: Append) -> Appended {
        let (saga_id, sleep, holds_until) = (append.saga_id, append.sleep, append.holds_until);
        let Family { begun, woken } = append.family.clone();
        let appended = self.write(append);
        if appended != Appended::Committed {
            return appended;
        }
        match holds_until {
            Some(until) => self.held.insert(saga_id, until.trunc_subsecs(6)),
            None => self.held.remove(&saga_id),
        };
        for Begun { row, record, sleep } in begun {
            let id = row.id;
            let record = Record { at: record.at.trunc_subsecs(6), ..record };
            if self.start(row, None, record) == Appended::Committed {
                self.fall_asleep_or_wake(id, sleep);
            }
        }
        if let Some(parent) = woken {
            self.sleeping.remove(&parent);
        }
        self.fall_asleep_or_wake(saga_id, sleep);
        appended
    }

    fn fall_asleep_or_wake(&mut self, saga_id: SagaId, sleep: Sleep) {
        match sleep {
            Sleep::Unchanged => {}
            Sleep::Asleep { wake_at, status: _ } => {
                self.sleeping.insert(saga_id, wake_at.map(|at| at.trunc_subsecs(6)));
            }
            Sleep::Awake => {
                self.sleeping.remove(&saga_id);
            }
        }
    }
}
