//! The flow to the domains, input by input: when a command leaves, is held, stands, is missing, or is a probe.

use contract::{StepName, step::Op};

use super::*;

const REPLY_WITHIN: Duration = Duration::from_secs(10);

/// A lane's flow to one domain, and its time.
struct Lane {
    flow: Flow,
    now: Instant,
}

fn saga(number: usize) -> SagaId {
    SagaId::from_uuid(uuid::Uuid::from_u128(u128::try_from(number).unwrap()))
}

fn command(number: usize) -> CommandToSend {
    attempt(number, 1)
}

fn attempt(number: usize, attempt: u16) -> CommandToSend {
    let command_id =
        CommandId { saga: saga(number), step: StepName::new("hold").unwrap(), op: Op::Action, generation: 1 };
    CommandToSend {
        command_id,
        attempt,
        name: "flights.hold_seats",
        version: 1,
        route: Route::Flights,
        expires_at: None,
        reply_within: REPLY_WITHIN,
        payload: serde_json::value::to_raw_value(&()).unwrap(),
    }
}

impl Lane {
    fn new() -> Self {
        Self { flow: Flow::new(), now: Instant::now() }
    }

    /// Sends these and has them confirmed; answers those that found room.
    fn send(&mut self, numbers: std::ops::Range<usize>) -> Vec<usize> {
        let admitted: Vec<_> = numbers.filter(|number| self.flow.admit(&command(*number), Way::Fresh)).collect();
        for number in &admitted {
            self.flow.confirmed(&command(*number).command_id, 1, self.now);
        }
        admitted
    }

    fn answer(&mut self, number: usize) {
        self.flow.answered(&command(number).command_id, 1, self.now);
    }

    fn after(&mut self, time: Duration) -> Vec<SagaId> {
        self.now += time;
        self.judge()
    }

    fn judge(&mut self) -> Vec<SagaId> {
        self.flow.judge(self.now).into_iter().map(|missing| missing.command_id.saga).collect()
    }

    /// Lets go what may go; answers how many commands went.
    fn release(&mut self) -> usize {
        let released = self.flow.release(self.now, 10_000);
        let numbers = released.into_iter().map(|saga| usize::try_from(saga.uuid().as_u128()).unwrap());
        let admitted: Vec<_> = numbers.filter(|number| self.flow.admit(&command(*number), Way::Released)).collect();
        self.flow.end_release(self.now);
        for number in &admitted {
            self.flow.confirmed(&command(*number).command_id, 1, self.now);
        }
        admitted.len()
    }

    fn is_open(&self) -> bool {
        self.flow.circuits().any(|(route, since)| route == Route::Flights && since.is_some())
    }
}

#[test]
fn what_is_over_the_window_is_held_and_follows_as_answers_come_in_order() {
    let mut lane = Lane::new();
    assert_eq!(lane.send(0..100).len(), WINDOW_FIRST);
    assert_eq!((lane.flow.commands_under_way(), lane.flow.sagas_held()), (WINDOW_FIRST, 36));
    assert!(!lane.flow.can_release());
    lane.answer(0);
    assert!(lane.flow.can_release());
    assert!(!lane.flow.admit(&command(200), Way::Fresh), "what is held comes first");
    assert_eq!(lane.release(), 2, "the window has grown, and one place is free");
    (1..64).for_each(|number| lane.answer(number));
    lane.release();
    assert_eq!(lane.flow.sagas_held(), 0);
}

#[test]
fn a_window_that_is_not_used_does_not_grow_and_none_grows_without_end() {
    let mut lane = Lane::new();
    for number in 0..1_000 {
        assert_eq!(lane.send(number..number + 1).len(), 1);
        lane.answer(number);
    }
    assert_eq!(lane.send(1_000..1_100).len(), WINDOW_FIRST);
    let mut lane = Lane::new();
    lane.send(0..100_000);
    for number in 0..50_000 {
        lane.answer(number);
        lane.release();
    }
    assert_eq!(lane.flow.commands_under_way(), WINDOW_MAX);
}

#[test]
fn a_reply_is_missing_when_its_domain_has_answered_what_was_sent_later() {
    let mut lane = Lane::new();
    lane.send(0..2);
    lane.answer(1);
    assert!(lane.after(REPLY_WITHIN - Duration::from_millis(1)).is_empty(), "it has its time");
    assert_eq!(lane.after(Duration::from_millis(1)), [saga(0)]);
    assert!(!lane.is_open());
    assert_eq!(lane.flow.commands_under_way(), 0);
}

#[test]
fn a_domain_that_answers_nothing_is_silent_and_gets_one_probe_at_a_time() {
    let mut lane = Lane::new();
    lane.send(0..10);
    assert!(lane.after(REPLY_WITHIN).is_empty(), "silence is no attempt");
    assert!(lane.is_open());
    assert!(lane.send(10..1_000).is_empty());
    assert_eq!(lane.release(), 1, "the first probe goes out at once");
    assert_eq!(lane.release(), 0);
    let mut probes = 1;
    for _ in 0..15 * 60 {
        assert!(lane.after(Duration::from_secs(1)).is_empty());
        probes += lane.release();
    }
    // After 10, 20, 40, 80, 160 and 300 seconds, each from the one before.
    assert_eq!(probes, 7);
    assert!(lane.flow.commands_under_way() < 20);
}

#[test]
fn any_answer_ends_the_silence_and_what_stood_is_sent_again_as_the_window_grows() {
    let mut lane = Lane::new();
    lane.send(0..10);
    lane.after(REPLY_WITHIN);
    lane.send(10..200);
    lane.after(Duration::from_secs(600));
    lane.answer(5);
    assert!(!lane.is_open());
    assert!(lane.judge().is_empty(), "those before it may be answered in a moment");
    assert_eq!((lane.flow.commands_under_way(), lane.flow.sagas_held()), (0, 199));
    let mut sent = Vec::new();
    while lane.flow.sagas_held() > 0 {
        sent.push(lane.release());
        let answered: Vec<_> = lane.flow.under_way.keys().cloned().collect();
        answered.iter().for_each(|id| lane.flow.answered(id, 1, lane.now));
    }
    assert_eq!(sent.iter().sum::<usize>(), 199);
    assert!(sent.len() < 15 && sent[0] == 2, "the window grows: {sent:?}");
}

#[test]
fn after_a_silence_what_is_sent_again_and_then_not_answered_is_missing() {
    let mut lane = Lane::new();
    lane.send(0..3);
    lane.after(REPLY_WITHIN);
    lane.answer(1);
    assert_eq!(lane.release(), 2);
    lane.answer(0);
    assert_eq!(lane.send(3..4), [3]);
    lane.answer(3);
    assert_eq!(lane.after(REPLY_WITHIN), [saga(2)]);
}

#[test]
fn a_command_that_fells_its_worker_is_not_the_only_probe() {
    let mut lane = Lane::new();
    lane.send(0..1);
    lane.after(REPLY_WITHIN);
    lane.send(1..3);
    assert_eq!(lane.release(), 1);
    lane.after(REPLY_WITHIN);
    assert_eq!(lane.release(), 1);
    assert_eq!(lane.flow.commands_under_way(), 2, "the second probe is another command");
}

#[test]
fn a_probe_that_nothing_awaits_any_more_makes_place_for_another() {
    let mut lane = Lane::new();
    lane.send(0..2);
    lane.after(REPLY_WITHIN);
    for left in [1, 0] {
        assert_eq!(lane.flow.release(lane.now, 10).len(), 1);
        lane.flow.end_release(lane.now);
        assert_eq!(lane.flow.commands_under_way(), left);
    }
    assert!(lane.flow.release(lane.now, 10).is_empty());
    assert!(!lane.is_open(), "nothing is left that could prove anything");
}

#[test]
fn the_clock_of_a_command_starts_when_the_broker_has_confirmed_it() {
    let mut lane = Lane::new();
    assert!(lane.flow.admit(&command(0), Way::Fresh));
    assert!(lane.after(Duration::from_secs(3_600)).is_empty());
    assert!(!lane.is_open());
    assert_eq!(lane.flow.next_due(), None);
    lane.flow.confirmed(&command(0).command_id, 1, lane.now);
    assert_eq!(lane.flow.next_due(), Some(lane.now + REPLY_WITHIN));
}

#[test]
fn what_the_broker_does_not_take_is_tried_again_until_it_does() {
    let mut lane = Lane::new();
    assert!((0..3).all(|number| lane.flow.admit(&command(number), Way::Fresh)));
    (0..3).for_each(|number| lane.flow.not_taken(&command(number).command_id, 1, lane.now));
    assert_eq!((lane.flow.commands_under_way(), lane.flow.commands_unpublished()), (0, 3));
    assert_eq!(lane.flow.release(lane.now, 10), []);
    lane.now += NOT_TAKEN_PAUSE_MIN;
    assert_eq!(lane.release(), 1, "one is tried, and confirmed");
    assert!(!lane.is_open());
    assert_eq!(lane.release(), 2);
}

#[test]
fn a_new_connection_sends_all_that_is_outstanding_again_window_by_window() {
    let mut lane = Lane::new();
    lane.send(0..500);
    lane.flow.broker_takes_none();
    assert_eq!((lane.release(), lane.flow.next_due().is_some()), (0, true));
    assert!(lane.send(500..501).is_empty());
    lane.flow.begin_anew();
    assert_eq!((lane.flow.commands_under_way(), lane.flow.sagas_held()), (0, 501));
    assert_eq!(lane.flow.release(lane.now, 3), [saga(0), saga(1), saga(2)], "in their order");
    assert_eq!(lane.release(), WINDOW_FIRST);
}

#[test]
fn an_answer_to_an_earlier_attempt_proves_that_the_domain_lives_and_nothing_else() {
    let mut lane = Lane::new();
    lane.send(0..1);
    lane.flow.forget(&command(0).command_id);
    assert!(lane.flow.admit(&attempt(0, 2), Way::Fresh));
    lane.flow.confirmed(&attempt(0, 2).command_id, 2, lane.now);
    lane.after(REPLY_WITHIN);
    assert!(lane.is_open());
    lane.answer(0);
    assert!(!lane.is_open());
    assert_eq!(lane.flow.sagas_held(), 1, "the later attempt is still to be answered");
}

#[test]
fn the_same_attempt_is_not_sent_twice_and_a_newer_one_takes_its_place() {
    let mut lane = Lane::new();
    lane.send(0..1);
    assert!(!lane.flow.admit(&command(0), Way::Fresh));
    assert!(lane.flow.admit(&attempt(0, 2), Way::Fresh));
    assert_eq!((lane.flow.commands_under_way(), lane.flow.sagas_held()), (1, 0));
}
