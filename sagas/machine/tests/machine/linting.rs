//! Each rule of the linter on a definition that the builder takes, with the text that its author reads.

use std::time::Duration;

use machine::{Builder, Retry, StepHandle, lint};

use crate::common::{Approval, Learned, Probe, Trip, probe, unprobe};

type Saga = Builder<Trip, Learned>;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// Builds, and expects exactly these findings.
#[track_caller]
fn check(build: impl FnOnce(&mut Saga), expected: &[&str]) {
    let mut saga = Saga::new("trip", 1);
    build(&mut saga);
    let definition = saga.build().unwrap();
    let found: Vec<_> =
        lint(&definition).into_iter().map(|f| format!("{} {}: {}", f.rule, f.step, f.message)).collect();
    assert_eq!(found, expected);
}

fn hold(saga: &mut Saga, name: &str) -> StepHandle {
    saga.step(name).command(probe).compensate(unprobe).add()
}

#[test]
fn a_saga_as_it_should_be_has_no_findings() {
    check(
        |saga| {
            saga.deadline(HOUR);
            let held = saga.step("hold").command(probe).compensate(unprobe).holds_for(HOUR * 2).add();
            let approved = saga.step("approval").after([held]).signal::<Approval>("approval").within(HOUR / 2).add();
            saga.step("confirm").pivot().after([approved]).command(probe).add();
        },
        &[],
    );
}

#[test]
fn a_wait_without_end_is_found_unless_the_saga_has_a_deadline() {
    let endless = |saga: &mut Saga| {
        saga.step("approval").signal::<Approval>("approval").add();
    };
    check(
        endless,
        &["wait_endless approval: it waits for `approval` without end: say `within`, or give the saga a deadline"],
    );
    check(
        |saga| {
            saga.deadline(HOUR);
            endless(saga);
        },
        &[],
    );
}

#[test]
fn a_wait_that_ends_when_a_hold_lapses_is_not_endless() {
    let waiting = |saga: &mut Saga, extended: bool| {
        let held = saga.step("hold").command(probe).compensate(unprobe).valid_until(|echo| echo.until);
        let held = if extended { held.extend(probe, |echo| echo.until).add() } else { held.add() };
        saga.step("approval").after([held]).signal::<Approval>("approval").add();
    };
    check(|saga| waiting(saga, false), &[]);
    check(
        |saga| waiting(saga, true),
        &["wait_endless approval: it waits for `approval` without end: say `within`, or give the saga a deadline"],
    );
}

#[test]
fn a_wait_behind_the_pivot_may_be_endless() {
    check(
        |saga| {
            let confirmed = saga.step("confirm").pivot().command(probe).add();
            saga.step("approval").retriable().after([confirmed]).signal::<Approval>("approval").add();
        },
        &[],
    );
}

#[test]
fn a_wait_that_the_deadline_cuts_short_is_found() {
    check(
        |saga| {
            saga.deadline(HOUR);
            saga.step("approval").signal::<Approval>("approval").within(HOUR).add();
        },
        &["wait_outlasts_deadline approval: `approval` may come for 1 h, but the saga's deadline is 1 h: the wait \
           never ends by itself"],
    );
}

#[test]
fn a_wait_that_outlasts_a_hold_is_found_with_the_shortest_hold() {
    check(
        |saga| {
            saga.deadline(HOUR);
            let long = saga.step("long").command(probe).compensate(unprobe).holds_for(HOUR * 3).add();
            let short = saga.step("short").command(probe).compensate(unprobe).holds_for(HOUR * 2).add();
            saga.step("approval").after([long, short]).signal::<Approval>("approval").within(HOUR * 2).add();
        },
        &["wait_outlasts_hold approval: `approval` may come for 2 h, but `short` holds for 2 h: wait for less"],
    );
}

#[test]
fn two_steps_that_may_wait_for_one_signal_at_the_same_time_are_found() {
    let two = |saga: &mut Saga, one_after_the_other: bool| {
        saga.deadline(HOUR);
        let first = saga.step("first").signal::<Approval>("approval").add();
        let second = saga.step("second").signal::<Approval>("approval");
        if one_after_the_other {
            second.after([first]).add()
        } else {
            second.add()
        };
    };
    check(
        |saga| two(saga, false),
        &[
            "signal_ambiguous second: `first` may wait for `approval` at the same time: give the signals two names, or let \
           one step come after the other",
        ],
    );
    check(|saga| two(saga, true), &[]);
}

#[test]
fn a_deadline_that_no_retry_fits_into_is_found_once() {
    check(
        |saga| {
            saga.deadline(SECOND * 45);
            saga.before_pivot(Retry::exponential(SECOND).cap(SECOND).attempts_max(2)).reply_within(SECOND * 10);
            let first = hold(saga, "first");
            let second = saga.step("second").after([first]).command(probe).compensate(unprobe).add();
            let third = saga.step("third").after([second]).command(probe).compensate(unprobe).add();
            saga.step("fourth").after([third]).command(probe).compensate(unprobe).add();
        },
        &[
            "deadline_too_short third: the deadline is 45 s, but sending each command up to this one twice can take 1 min 3 s",
        ],
    );
}

#[test]
fn retries_that_the_deadline_never_lets_happen_are_found() {
    check(
        |saga| {
            saga.deadline(SECOND * 60);
            saga.before_pivot(Retry::exponential(SECOND).cap(SECOND * 2).attempts_max(6)).reply_within(SECOND * 10);
            hold(saga, "hold");
        },
        &[
            "retries_outlast_deadline hold: its 6 attempts can take 1 min 9 s, but the saga's deadline is 1 min: the last of them \
           never happen",
        ],
    );
}

#[test]
fn a_pivot_whose_lost_reply_could_cost_a_hold_is_found() {
    check(
        |saga| {
            saga.deadline(HOUR).reply_within(SECOND * 10).must_succeed(Retry::exponential(SECOND));
            let held = hold_for(saga, HOUR + SECOND * 20);
            saga.step("confirm").pivot().after([held]).command(probe).add();
        },
        &[
            "pivot_doubt_outlasts_hold confirm: its second answer can come after 1 h 21 s, but `hold` holds for 1 h 20 s: a lost \
           reply could cost the hold",
        ],
    );
    check(
        |saga| {
            saga.deadline(HOUR).reply_within(SECOND * 10).must_succeed(Retry::exponential(SECOND));
            let held = hold_for(saga, HOUR + SECOND * 21);
            saga.step("confirm").pivot().after([held]).command(probe).add();
        },
        &[],
    );
}

fn hold_for(saga: &mut Saga, time: Duration) -> StepHandle {
    saga.step("hold").command(probe).compensate(unprobe).holds_for(time).add()
}

#[test]
fn a_compensation_that_does_instead_of_undoing_is_found() {
    check(
        |saga| {
            saga.step("hold")
                .command(probe)
                .compensate(|trip, _| Probe { note: trip.note.clone(), said: Vec::new() })
                .add();
        },
        &[
            "compensation_is_action hold: `order.probe` undoes it, which `hold` sends on its way forward: an undo must not \
           be able to do",
        ],
    );
}

#[test]
fn a_pivot_that_is_a_child_and_has_no_margin_is_found_where_something_is_held_for_it() {
    let paid = |saga: &mut Saga, margin: Duration, renewed: bool| {
        let held = saga.step("hold").command(probe).compensate(unprobe).valid_until(|echo| echo.until).add();
        let reread = saga.step("reread").after([held]).command(probe).compensate(unprobe);
        let reread = if renewed { reread.renews([held]).add() } else { reread.add() };
        saga.step("pay").pivot().after([reread]).child("payment", 1, probe).margin(margin).add();
    };
    let found = "child_without_margin pay: `payment` may be started when the hold of `hold` is as good as over: say its \
                 `margin`";
    check(|saga| paid(saga, Duration::ZERO, false), &[found]);
    check(|saga| paid(saga, HOUR, false), &[]);
    check(|saga| paid(saga, Duration::ZERO, true), &[]);
}
