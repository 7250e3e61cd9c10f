//! The sagas that need a person, and those that did when an open page showed them: what all open lists of them share.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    SagaId,
    orchestrator_api::{RecordView, SagaSummary},
    saga::SagaStatus,
};
use serde_json::Value;

use crate::{looks::Looks, view::names};

/// The clock of the pages and that of an orchestrator may differ by so much: an act may have a time a little before that of a page which
/// still showed its saga as it was.
const CLOCKS_DIFFER_MAX: TimeDelta = TimeDelta::seconds(2);

/// The looks of open lists, by the word of a role. Each list wishes for its own rows.
pub(crate) type AttentionLooks = Looks<&'static str, Arc<[SagaId]>, Arc<Attention>>;

/// The outcome of one look.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Attention {
    /// The newest sagas that need a person, newest first.
    pub(crate) newest: Vec<SagaId>,
    /// These sagas, and those that lists show. None for one that there is not any more.
    pub(crate) sagas: HashMap<SagaId, Option<SagaSummary>>,
    /// The acts that were done last on sagas that need nobody any more. None where nobody ever acted.
    pub(crate) acts: HashMap<SagaId, Option<Act>>,
}

/// An act on a saga, from its journal: that of an operator or a job, or a signal that came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Act {
    at: DateTime<Utc>,
    words: String,
}

impl Act {
    /// The act that a record tells of.
    pub(crate) fn of(record: &RecordView) -> Option<Self> {
        let words = |entry: &Value| {
            let text = |place: &str| entry.pointer(place).and_then(Value::as_str);
            match text("/entry")? {
                "operator_acted" => {
                    let (act, actor) = (text("/action/action")?, text("/operator/actor")?);
                    Some(format!("{} by {}", names::words(act), names::shortened(actor)))
                }
                "signal_received" => Some(match text("/actor") {
                    Some(actor) => format!("signal {} by {}", text("/signal")?, names::shortened(actor)),
                    None => format!("signal {} came", text("/signal")?),
                }),
                _ => None,
            }
        };
        record.entries.iter().find_map(words).map(|words| Self { at: record.at, words })
    }
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

    /// Why a saga needs nobody any more, as seen on a page that was opened at this time; none while it does.
    pub(crate) fn why_gone(&self, saga: &SagaSummary, opened_at: DateTime<Utc>) -> Option<&str> {
        if saga.status == SagaStatus::NeedsAttention {
            return None;
        }
        Some(match self.acts.get(&saga.id) {
            Some(Some(act)) if act.at + CLOCKS_DIFFER_MAX >= opened_at => &act.words,
            // An act of before is not why: the page still showed the saga after it.
            Some(_) => "went on by itself",
            None => "needs nobody any more",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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

    fn saga(number: u8, status: SagaStatus) -> SagaSummary {
        serde_json::from_value(json!({
            "id": id(number), "name": "order", "version": 1, "status": status, "business_key": "ord_1", "created_at": at(0),
            "updated_at": at(0),
        }))
        .unwrap()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn record(seconds: i64, entry: Value) -> RecordView {
        serde_json::from_value(json!({
            "seq": 7, "at": at(seconds), "entries": [entry], "status": "running", "steps": [],
        }))
        .unwrap()
    }

    #[test]
    fn a_saga_is_gone_for_an_act_since_the_page_was_opened_and_else_by_itself() {
        let acted = json!({
            "entry": "operator_acted", "operator": { "actor": "usr_1", "role": "operator", "reason": "again" },
            "action": { "action": "fire_timer", "step": "wait" },
        });
        let act = Act::of(&record(100, acted));
        let acts = HashMap::from([(id(1), act), (id(2), None)]);
        let seen = Attention { acts, ..Attention::default() };
        let why = |number, status, opened| seen.why_gone(&saga(number, status), at(opened)).map(str::to_owned);
        assert_eq!(why(1, SagaStatus::NeedsAttention, 90), None);
        assert_eq!(why(1, SagaStatus::Running, 90).unwrap(), "fire timer by usr_1");
        assert_eq!(why(1, SagaStatus::Completed, 101).unwrap(), "fire timer by usr_1");
        assert_eq!(why(1, SagaStatus::Completed, 110).unwrap(), "went on by itself");
        assert_eq!(why(2, SagaStatus::Completed, 110).unwrap(), "went on by itself");
        assert_eq!(why(3, SagaStatus::Completed, 110).unwrap(), "needs nobody any more");
        let signal = Act::of(&record(120, json!({ "entry": "signal_received", "signal": "payment-action" })));
        assert_eq!(signal.map(|act| act.words).unwrap(), "signal payment-action came");
    }
}
