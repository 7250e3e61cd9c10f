//! The timeline of a saga, read from its journal: each entry about a step ends the span that the step was in, and may begin
//! the next one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contract::{
    orchestrator_api::{SPANS_MAX, SpanEnd, Spent, Timeline, TimelineSpan},
    step::{Op, StepName},
};
use journal::Stored;
use machine::Entry;

/// The change that an entry makes to one step's time.
struct Change<'a> {
    step: &'a StepName,
    op: Op,
    /// The end of the span that the step was in.
    end: SpanEnd,
    /// The span that begins, with the number of its attempt.
    next: Option<(Spent, Option<u16>)>,
}

pub(crate) fn timeline(stored: &Stored) -> Timeline {
    let mut spans: Vec<TimelineSpan> = Vec::new();
    // The place of the span that each step is in.
    let mut open: BTreeMap<(StepName, Op), usize> = BTreeMap::new();
    let mut now = stored.row.created_at;
    for record in &stored.records {
        // The clock of a shard's next owner may be behind.
        now = now.max(record.at);
        for entry in &record.entries {
            if ends_all(entry) {
                open.values().for_each(|place| end(&mut spans, *place, now, SpanEnd::Left));
                open.clear();
            }
            let Some(Change { step, op, end: how, next }) = change(entry) else { continue };
            let key = (step.clone(), op);
            if let Some(place) = open.remove(&key) {
                end(&mut spans, place, now, how);
            }
            if let Some((spent, attempt)) = next {
                open.insert(key, spans.len());
                spans.push(TimelineSpan { step: step.clone(), op, spent, attempt, from: now, until: None, end: None });
            }
        }
    }
    spans.drain(..spans.len().saturating_sub(SPANS_MAX));
    let ended_at = stored.row.finished_at.map(|ended| ended.max(now));
    Timeline { began_at: stored.row.created_at, ended_at, spans }
}

fn end(spans: &mut [TimelineSpan], place: usize, until: DateTime<Utc>, how: SpanEnd) {
    if let Some(span) = spans.get_mut(place) {
        (span.until, span.end) = (Some(until), Some(how));
    }
}

/// True for an entry after which no step goes on as before.
const fn ends_all(entry: &Entry) -> bool {
    matches!(
        entry,
        Entry::CompensationStarted { .. }
            | Entry::ClosingStarted { .. }
            | Entry::SagaCompleted
            | Entry::SagaCompensated
            | Entry::SagaAbandoned
    )
}

fn change(entry: &Entry) -> Option<Change<'_>> {
    let (step, op, end, next) = match entry {
        Entry::CommandDispatched { step, op, attempt, .. } => {
            (step, *op, SpanEnd::Left, Some((Spent::UnderWay, Some(*attempt))))
        }
        Entry::CommandDone { step, op, .. } | Entry::StepSkipped { step, op, .. } => (step, *op, SpanEnd::Done, None),
        Entry::CommandRefused { step, op, .. } => (step, *op, SpanEnd::Refused, None),
        Entry::CommandFailed { step, op, attempt, retry_at, .. } => {
            let again = retry_at.map(|_| (Spent::Retry, Some(attempt.saturating_add(1))));
            (step, *op, SpanEnd::Failed, again)
        }
        Entry::AttentionNeeded { step, op, .. } => (step, *op, SpanEnd::Failed, Some((Spent::Person, None))),
        Entry::CompensationResolved { step, .. } => (step, Op::Compensation, SpanEnd::Done, None),
        Entry::SignalAwaited { step, .. } => (step, Op::Action, SpanEnd::Left, Some((Spent::Signal, None))),
        Entry::SignalTaken { step, .. } | Entry::TimerFired { step } => (step, Op::Action, SpanEnd::Done, None),
        Entry::SignalMissed { step, .. } => (step, Op::Action, SpanEnd::Refused, None),
        Entry::TimerSet { step, .. } => (step, Op::Action, SpanEnd::Left, Some((Spent::Time, None))),
        Entry::ChildAwaited { step, op, .. } => (step, *op, SpanEnd::Left, Some((Spent::Child, None))),
        Entry::StepNotNeeded { step } => (step, Op::Action, SpanEnd::Left, None),
        Entry::SagaStarted { .. }
        | Entry::CompensationStarted { .. }
        | Entry::OperatorActed { .. }
        | Entry::ClosingStarted { .. }
        | Entry::CommandEdited { .. }
        | Entry::SignalReceived { .. }
        | Entry::ExtensionBegun { .. }
        | Entry::DefinitionChanged { .. }
        | Entry::ClockStood { .. }
        | Entry::SagaPaused { .. }
        | Entry::SagaResumed { .. }
        | Entry::SagaCompleted
        | Entry::SagaCompensated
        | Entry::SagaAbandoned => return None,
    };
    Some(Change { step, op, end, next })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use contract::saga::{Cause, PauseClock, PausedHolds, SagaStatus};
    use journal::{Record, SagaRow};
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms)
    }

    /// A saga that began at 0, with its records by time.
    fn saga(records: Vec<(i64, Vec<Entry>)>, ended: Option<i64>) -> Stored {
        let row = SagaRow {
            id: kit::ids::saga_id(0, 1),
            name: "trip".to_owned(),
            version: 1,
            fingerprint: String::new(),
            shard: 0,
            status: if ended.is_some() { SagaStatus::Completed } else { SagaStatus::Running },
            business_key: "ord_1".to_owned(),
            owner: None,
            attributes: contract::Attributes::default(),
            traceparent: None,
            parent: None,
            parent_step: None,
            error: None,
            paused: false,
            created_at: at(0),
            updated_at: at(0),
            finished_at: ended.map(at),
        };
        let record = |(seq, (ms, entries))| Record { seq, at: at(ms), entries };
        Stored { row, records: (1..).zip(records).map(record).collect() }
    }

    /// The spans as lines: step, how its time was spent, and `from-until end`.
    fn told(stored: &Stored) -> Vec<String> {
        let ms = |at: DateTime<Utc>| at.timestamp_millis();
        let line = |span: &TimelineSpan| {
            let attempt = span.attempt.map_or_else(String::new, |attempt| format!(" {attempt}"));
            let (until, end) = (span.until.map_or_else(String::new, |until| ms(until).to_string()), span.end);
            let end = end.map_or_else(|| "lasts".to_owned(), |end| format!("{end:?}"));
            format!("{} {:?} {:?}{attempt} {}-{until} {end}", span.step, span.op, span.spent, ms(span.from))
        };
        timeline(stored).spans.iter().map(line).collect()
    }

    fn step(name: &str) -> StepName {
        StepName::new(name).unwrap()
    }

    fn sent(name: &str, op: Op, attempt: u16) -> Entry {
        Entry::CommandDispatched { step: step(name), op, generation: 1, attempt, reply_by: at(0) }
    }

    fn done(name: &str, op: Op) -> Entry {
        Entry::CommandDone { step: step(name), op, reply: serde_json::json!(null).into() }
    }

    fn failed(name: &str, attempt: u16, retry_at: Option<i64>) -> Entry {
        let (code, message) = ("reply_missing".to_owned(), String::new());
        let (step, retry_at) = (step(name), retry_at.map(at));
        Entry::CommandFailed { step, op: Op::Action, attempt, in_doubt: true, code, message, retry_at }
    }

    fn refused(name: &str) -> Entry {
        let (code, message) = ("sold_out".to_owned(), String::new());
        Entry::CommandRefused { step: step(name), op: Op::Action, code, message }
    }

    fn needs_a_person(name: &str) -> Entry {
        let (code, message) = ("reply_missing".to_owned(), String::new());
        Entry::AttentionNeeded { step: step(name), op: Op::Action, code, message }
    }

    fn turned_around() -> Entry {
        let cause = Cause { step: None, code: "cancelled".to_owned(), message: String::new(), refused: false };
        Entry::CompensationStarted { cause }
    }

    #[test]
    fn a_step_is_under_way_from_its_sending_to_its_reply_and_steps_side_by_side_have_their_own_spans() {
        let records = vec![
            (0, vec![sent("create", Op::Action, 1)]),
            (10, vec![done("create", Op::Action), sent("seats", Op::Action, 1), sent("rooms", Op::Action, 1)]),
            (30, vec![done("rooms", Op::Action)]),
            (50, vec![done("seats", Op::Action), Entry::SagaCompleted]),
        ];
        assert_eq!(
            told(&saga(records, Some(50))),
            [
                "create Action UnderWay 1 0-10 Done",
                "seats Action UnderWay 1 10-50 Done",
                "rooms Action UnderWay 1 10-30 Done",
            ]
        );
    }

    #[test]
    fn a_retry_is_a_wait_between_two_attempts_and_the_last_failure_waits_for_a_person() {
        let records = vec![
            (0, vec![sent("pay", Op::Action, 1)]),
            (5, vec![failed("pay", 1, Some(25))]),
            (25, vec![sent("pay", Op::Action, 2)]),
            (40, vec![failed("pay", 2, None), needs_a_person("pay")]),
            (90, vec![sent("pay", Op::Action, 3)]),
        ];
        assert_eq!(
            told(&saga(records, None)),
            [
                "pay Action UnderWay 1 0-5 Failed",
                "pay Action Retry 2 5-25 Left",
                "pay Action UnderWay 2 25-40 Failed",
                "pay Action Person 40-90 Left",
                "pay Action UnderWay 3 90- lasts",
            ]
        );
    }

    #[test]
    fn waits_for_a_signal_a_time_and_a_child_end_as_they_were_met() {
        let signal =
            |name: &str| Entry::SignalAwaited { step: step(name), signal: "go".parse().unwrap(), miss_at: None };
        let records = vec![
            (0, vec![signal("approval"), signal("card"), Entry::TimerSet { step: step("rest"), fire_at: at(70) }]),
            (10, vec![Entry::SignalTaken { step: step("approval"), id: "evt_1".parse().unwrap() }]),
            (20, vec![Entry::SignalMissed { step: step("card"), message: String::new() }]),
            // An operator set the timer anew.
            (30, vec![Entry::TimerSet { step: step("rest"), fire_at: at(60) }]),
            (60, vec![Entry::TimerFired { step: step("rest") }]),
            (60, vec![Entry::ChildAwaited { step: step("leg"), op: Op::Action, child: kit::ids::saga_id(0, 1) }]),
            (80, vec![done("leg", Op::Action), Entry::StepNotNeeded { step: step("gift") }, Entry::SagaCompleted]),
        ];
        assert_eq!(
            told(&saga(records, Some(80))),
            [
                "approval Action Signal 0-10 Done",
                "card Action Signal 0-20 Refused",
                "rest Action Time 0-30 Left",
                "rest Action Time 30-60 Done",
                "leg Action Child 60-80 Done",
            ]
        );
    }

    #[test]
    fn a_pause_ends_no_span_and_what_was_under_way_comes_to_its_end_meanwhile() {
        let pause = Entry::SagaPaused { at: at(10), clock: PauseClock::Freeze, holds: PausedHolds::Keep };
        let records = vec![
            (0, vec![sent("seats", Op::Action, 1), sent("rooms", Op::Action, 1)]),
            (10, vec![pause]),
            (20, vec![done("seats", Op::Action)]),
            (500, vec![Entry::SagaResumed { at: at(500) }]),
            (510, vec![done("rooms", Op::Action), sent("pay", Op::Action, 1)]),
        ];
        assert_eq!(
            told(&saga(records, None)),
            [
                "seats Action UnderWay 1 0-20 Done",
                "rooms Action UnderWay 1 0-510 Done",
                "pay Action UnderWay 1 510- lasts",
            ]
        );
    }

    #[test]
    fn a_turn_leaves_nothing_going_on_as_before_and_what_is_undone_has_spans_of_its_own() {
        let records = vec![
            (0, vec![sent("seats", Op::Action, 1), sent("rooms", Op::Action, 1)]),
            (10, vec![done("rooms", Op::Action)]),
            (20, vec![turned_around(), sent("rooms", Op::Compensation, 1), sent("seats", Op::Compensation, 1)]),
            // The reply of before ends nothing any more.
            (25, vec![done("seats", Op::Action)]),
            (30, vec![done("rooms", Op::Compensation)]),
            (40, vec![done("seats", Op::Compensation), Entry::SagaCompensated]),
        ];
        assert_eq!(
            told(&saga(records, Some(40))),
            [
                "seats Action UnderWay 1 0-20 Left",
                "rooms Action UnderWay 1 0-10 Done",
                "rooms Compensation UnderWay 1 20-30 Done",
                "seats Compensation UnderWay 1 20-40 Done",
            ]
        );
    }

    #[test]
    fn a_saga_that_was_given_up_has_no_span_that_goes_on() {
        let records = vec![
            (0, vec![sent("pay", Op::Action, 1)]),
            (5, vec![failed("pay", 1, None), needs_a_person("pay")]),
            (9, vec![Entry::SagaAbandoned]),
        ];
        assert_eq!(told(&saga(records, Some(9))), ["pay Action UnderWay 1 0-5 Failed", "pay Action Person 5-9 Left"]);
    }

    #[test]
    fn a_clock_that_is_behind_after_a_takeover_turns_no_span_around() {
        let records = vec![(100, vec![sent("pay", Op::Action, 1)]), (60, vec![done("pay", Op::Action)])];
        assert_eq!(told(&saga(records, Some(60))), ["pay Action UnderWay 1 100-100 Done"]);
    }

    #[test]
    fn of_a_long_history_the_last_spans_are_told() {
        let tries = (0..700_u16).flat_map(|n| {
            let ms = i64::from(n) * 10;
            [(ms, vec![sent("pay", Op::Action, n)]), (ms + 4, vec![failed("pay", n, Some(ms + 10))])]
        });
        let told = timeline(&saga(tries.collect(), None));
        assert_eq!((told.spans.len(), told.spans.last().unwrap().spent), (SPANS_MAX, Spent::Retry));
        assert_eq!(told.began_at, at(0));
    }

    /// Entries of a few steps in any order, sensible or not.
    fn any_entry() -> impl Strategy<Value = Entry> {
        let name = prop::sample::select(vec!["seats", "rooms", "pay"]);
        (name, 0..13_u8, 1..4_u16).prop_map(|(name, kind, attempt)| match kind {
            0 | 1 => sent(name, Op::Action, attempt),
            2 => sent(name, Op::Compensation, attempt),
            3 => sent(name, Op::Extension, attempt),
            4 => done(name, Op::Action),
            5 => done(name, Op::Compensation),
            6 => failed(name, attempt, Some(0)),
            7 => failed(name, attempt, None),
            8 => refused(name),
            9 => needs_a_person(name),
            10 => Entry::TimerSet { step: step(name), fire_at: at(0) },
            11 => Entry::TimerFired { step: step(name) },
            _ => turned_around(),
        })
    }

    proptest! {
        #[test]
        fn spans_of_one_step_follow_each_other_within_the_life_of_their_saga(
            records in prop::collection::vec((0_i64..50, prop::collection::vec(any_entry(), 1..4)), 0..60),
            ends in any::<bool>(),
        ) {
            let mut records: Vec<_> = records;
            let last = records.iter().map(|(ms, _)| *ms).max().unwrap_or_default();
            if ends {
                records.push((last, vec![Entry::SagaAbandoned]));
            }
            let told = timeline(&saga(records, ends.then_some(last)));
            prop_assert!(told.spans.is_sorted_by_key(|span| span.from), "{told:?}");
            let end = told.ended_at.unwrap_or(at(last));
            let mut before: BTreeMap<(StepName, Op), &TimelineSpan> = BTreeMap::new();
            for span in &told.spans {
                prop_assert_eq!(span.until.is_some(), span.end.is_some());
                prop_assert!(span.from >= told.began_at && span.until.is_none_or(|until| span.from <= until && until <= end));
                prop_assert!(told.ended_at.is_none() || span.until.is_some(), "it goes on after the end: {span:?}");
                if let Some(earlier) = before.insert((span.step.clone(), span.op), span) {
                    prop_assert!(earlier.until.is_some_and(|until| until <= span.from), "{earlier:?} {span:?}");
                }
            }
        }
    }
}
