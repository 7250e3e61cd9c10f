//! Every mistake that a definition can have, with the text that its author reads.

use std::time::Duration;

use machine::{Builder, Catalog, Definition, DefinitionError, Retry, StepHandle, Wake};

use crate::common::{Approval, Learned, Trip, journey, probe, unprobe};

type Saga = Builder<Trip, Learned>;

const SECOND: Duration = Duration::from_secs(1);

/// Builds, expecting exactly these mistakes.
#[track_caller]
fn check(build: impl FnOnce(&mut Saga), expected: &[&str]) {
    let mut saga = Saga::new("trip", 1);
    build(&mut saga);
    let found: Vec<_> = saga.build().err().unwrap_or_default().iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

fn hold(saga: &mut Saga, name: &str) -> StepHandle {
    saga.step(name).command(probe).compensate(unprobe).add()
}

#[test]
fn a_sound_definition_has_no_mistakes() {
    check(
        |saga| {
            let held = hold(saga, "hold");
            let confirm = saga.step("confirm").pivot().after([held]).command(probe).add();
            saga.step("tell").retriable().after([confirm]).command(probe).add();
        },
        &[],
    );
}

#[test]
fn names_and_numbers_are_checked() {
    let saga = Saga::new("Trip!", 0);
    let found: Vec<_> = saga.build().unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "`Trip!` is not a saga's name: 1 to 48 of a-z, 0-9, `-` and `_`, starting with a letter",
            "a saga's version starts at 1, not 0",
            "the saga has no steps",
        ]
    );
    check(
        |saga| {
            hold(saga, "hold");
            saga.attribute("Seat class", |_| Some("first"));
            saga.attribute("day", |_| Some("2026-12-24")).attribute("day", |_| Some("2026-12-25"));
        },
        &[
            "`Seat class` is not an attribute's name: 1 to 48 of a-z, 0-9 and `_`, starting with a letter",
            "two attributes are called `day`",
        ],
    );
    check(
        |saga| {
            hold(saga, "hold");
            for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i"] {
                saga.attribute(name, |_| Some(1));
            }
        },
        &["the saga has 9 attributes, more than 8"],
    );
    check(
        |saga| {
            hold(saga, "Hold Seats");
        },
        &["`Hold Seats` is not a step's name: 1 to 48 of a-z, 0-9 and `-`, starting with a letter"],
    );
    check(
        |saga| {
            hold(saga, "hold");
            hold(saga, "hold");
        },
        &["two steps are called `hold`"],
    );
    check(
        |saga| {
            for number in 0..65 {
                hold(saga, &format!("hold-{number}"));
            }
        },
        &["the saga has 65 steps, more than 64"],
    );
}

#[test]
fn a_handle_of_another_saga_is_refused() {
    let mut other = Saga::new("other", 1);
    let foreign = hold(&mut other, "hold");
    check(
        |saga| {
            hold(saga, "hold");
            saga.step("more").after([foreign]).command(probe).compensate(unprobe).add();
        },
        &["step `more` comes after a step of another saga: use the handles that this builder's `add()` gave"],
    );
}

#[test]
fn what_could_not_be_undone_is_refused() {
    check(
        |saga| {
            saga.step("hold").command(probe).add();
        },
        &["step `hold` has no compensation: before the pivot every step needs one"],
    );
    check(
        |saga| {
            let confirm = saga.step("confirm").pivot().command(probe).add();
            saga.step("late").after([confirm]).command(probe).compensate(unprobe).add();
            hold(saga, "beside");
        },
        &[
            "compensatable step `late` does not come before pivot `confirm`: it could run when nothing is undone any more",
            "compensatable step `beside` does not come before pivot `confirm`: it could run when nothing is undone any more",
        ],
    );
    check(
        |saga| {
            let held = hold(saga, "hold");
            saga.step("tell").retriable().after([held]).command(probe).add();
        },
        &["retriable step `tell` comes after no pivot: it could run while the saga may still be undone"],
    );
    check(
        |saga| {
            saga.step("confirm").pivot().command(probe).compensate(unprobe).add();
        },
        &["step `confirm` has a compensation that would never run: from the pivot on nothing is undone"],
    );
}

#[test]
fn a_pivot_is_not_left_open() {
    check(
        |saga| {
            let held = hold(saga, "hold");
            saga.step("confirm").pivot().after([held]).if_needed(|_, _| true).command(probe).add();
        },
        &["pivot `confirm` has an `if_needed`: without it the saga would have no point of no return; use `when`"],
    );
}

#[test]
fn several_pivots_must_exclude_each_other() {
    check(
        |saga| {
            saga.step("one").pivot().command(probe).add();
            saga.step("two").pivot().when(|trip| trip.flags == 0).command(probe).add();
        },
        &["several steps are pivots (one, two): only one may apply to an input, so give each a `when`"],
    );
    check(
        |saga| {
            saga.step("one").pivot().when(|trip| trip.flags != 0).command(probe).add();
            saga.step("two").pivot().when(|trip| trip.flags == 0).command(probe).add();
        },
        &[],
    );
}

#[test]
fn retries_and_times_must_make_sense() {
    check(
        |saga| {
            let endless = Retry::exponential(SECOND);
            saga.step("hold").command(probe).compensate(unprobe).retry(endless).compensation_retry(endless).add();
        },
        &["step `hold` is retried without a bound: before the pivot `attempts_max` is needed"],
    );
    check(
        |saga| {
            let few = Retry::exponential(SECOND).attempts_max(50);
            let held = saga.step("hold").command(probe).compensate(unprobe).compensation_retry(few).add();
            saga.step("confirm").pivot().after([held]).command(probe).retry(few).add();
        },
        &[
            "the retries of `hold` (compensation) have a bound: from the pivot on, and back, a command is retried until it succeeds, so leave `attempts_max` out",
            "the retries of `confirm` (action) have a bound: from the pivot on, and back, a command is retried until it succeeds, so leave `attempts_max` out",
        ],
    );
    check(
        |saga| {
            saga.deadline(Duration::ZERO);
            let never = Retry::exponential(SECOND).attempts_max(0);
            let shrinking = Retry::exponential(SECOND).cap(Duration::from_millis(10));
            let instant = Retry::exponential(Duration::ZERO).attempts_max(0);
            saga.step("a").command(probe).compensate(unprobe).retry(never).compensation_retry(shrinking).add();
            saga.step("b").command(probe).compensate(unprobe).retry(instant).reply_within(Duration::ZERO).add();
            saga.step("c").command(probe).compensate(unprobe).compensation_within(Duration::ZERO).add();
        },
        &[
            "the saga's deadline is less than a millisecond",
            "the retries of `a` (action) make no sense: it allows no attempt at all",
            "the retries of `a` (compensation) make no sense: its longest wait is shorter than its first",
            "the retries of `b` (action) make no sense: its first wait is shorter than a millisecond",
            "the retries of `b` (action) make no sense: it allows no attempt at all",
            "step `b` (action) awaits its reply for less than a millisecond",
            "step `c` (compensation) awaits its reply for less than a millisecond",
        ],
    );
}

#[test]
fn a_hold_must_outlast_the_deadline_and_the_steps_from_the_pivot_on() {
    let trip = |deadline: Option<u32>, hold: u32| {
        move |saga: &mut Saga| {
            if let Some(deadline) = deadline {
                saga.deadline(deadline * SECOND);
            }
            let held = saga.step("hold").command(probe).compensate(unprobe).holds_for(hold * SECOND).add();
            let confirm = saga.step("confirm").pivot().after([held]).command(probe).reply_within(7 * SECOND).add();
            saga.step("tell").retriable().after([confirm]).command(probe).reply_within(2 * SECOND).add();
            saga.step("bill").retriable().after([confirm]).command(probe).reply_within(3 * SECOND).add();
        }
    };
    check(trip(None, 60), &["step `hold` holds something for 60s, but the saga has no deadline"]);
    check(
        trip(Some(60), 69),
        &["step `hold` holds something for 69s, but the saga's deadline and the steps from the pivot on can take 70s"],
    );
    check(trip(Some(60), 70), &[]);
}

#[test]
fn all_mistakes_are_reported_at_once() {
    check(
        |saga| {
            saga.step("A").command(probe).add();
            saga.step("b").retriable().command(probe).compensate(unprobe).reply_within(Duration::ZERO).add();
        },
        &[
            "`A` is not a step's name: 1 to 48 of a-z, 0-9 and `-`, starting with a letter",
            "step `nameless` has no compensation: before the pivot every step needs one",
            "step `b` has a compensation that would never run: from the pivot on nothing is undone",
            "retriable step `b` comes after no pivot: it could run while the saga may still be undone",
            "step `b` (action) awaits its reply for less than a millisecond",
        ],
    );
}

#[test]
fn the_fingerprint_is_that_of_the_shape() {
    type Change = fn(&mut Saga);
    let of = |change: Change| {
        let mut saga = Saga::new("trip", 1);
        change(&mut saga);
        saga.build().unwrap().fingerprint().clone()
    };
    let changes: [Change; 9] = [
        |saga| _ = saga.step("hold").command(probe).compensate(unprobe).add(),
        |saga| _ = saga.step("held").command(probe).compensate(unprobe).add(),
        |saga| _ = saga.step("hold").command(probe).compensate(unprobe).when(|_| true).add(),
        |saga| _ = saga.step("hold").command(probe).compensate(unprobe).reply_within(SECOND).add(),
        |saga| {
            _ = saga
                .step("hold")
                .command(probe)
                .compensate(unprobe)
                .retry(Retry::exponential(SECOND).attempts_max(3))
                .add()
        },
        |saga| _ = saga.deadline(SECOND).step("hold").command(probe).compensate(unprobe).add(),
        |saga| _ = saga.step("hold").command(probe).compensate(unprobe).valid_until(|echo| echo.until).add(),
        |saga| {
            let hold = saga.step("hold").command(probe).compensate(unprobe).valid_until(|echo| echo.until);
            _ = hold.extend(probe, |echo| echo.until).add();
        },
        |saga| _ = saga.step("hold").command(probe).compensate(|trip, _| probe(trip, &Learned::default())).add(),
    ];
    let all: Vec<_> = changes.iter().map(|change| of(*change)).collect();
    let different: std::collections::BTreeSet<_> = all.iter().map(|one| one.as_str().to_owned()).collect();
    assert_eq!(different.len(), changes.len(), "two shapes have one fingerprint");
    assert_eq!(of(changes[0]), all[0], "the same shape has two fingerprints");
    assert_eq!(all[0].as_str().len(), 32);
}

#[test]
fn a_catalog_finds_by_name_and_version_and_takes_no_version_twice() {
    let version = |version: u32| -> Definition {
        let mut saga = Saga::new("trip", version);
        hold(&mut saga, "hold");
        saga.build().unwrap()
    };
    let catalog = Catalog::new([version(2), version(10), version(1), journey()]).unwrap();
    assert_eq!(catalog.newest("trip").unwrap().version(), 10);
    assert_eq!(catalog.get("trip", 2).unwrap().version(), 2);
    assert!(catalog.get("trip", 3).is_none() && catalog.newest("tour").is_none());
    let all: Vec<_> = catalog.iter().map(|one| (one.name().to_owned(), one.version())).collect();
    assert_eq!(all, [("journey".into(), 1), ("trip".into(), 1), ("trip".into(), 2), ("trip".into(), 10)]);
    let hurried = Catalog::new([journey()]).unwrap().with_times_divided(60);
    let (hurried, published) = (hurried.newest("journey").unwrap(), journey());
    assert_eq!(hurried.deadline(), Some(2 * SECOND));
    assert_eq!(hurried.steps()[0].command(contract::Op::Action).unwrap().reply_within, SECOND / 6);
    assert_eq!(hurried.fingerprint(), published.fingerprint(), "it is the same saga, only sooner");
    let twice = Catalog::new([version(1), version(1)]).unwrap_err();
    assert_eq!(twice.to_string(), "`trip` version 1 is defined twice");
}

#[test]
fn a_mistake_can_be_matched_on() {
    let mistakes = Saga::new("trip", 1).build().unwrap_err();
    assert_eq!(mistakes, [DefinitionError::NoSteps]);
}

#[test]
fn holds_that_expire_are_checked() {
    check(
        |saga| {
            let hold = saga.step("hold").command(probe).compensate(unprobe).extend(probe, |echo| echo.until).add();
            let other = saga.step("other").command(probe).compensate(unprobe).valid_until(|echo| echo.until).add();
            let renewing = saga.step("renewing").after([hold]).command(probe).compensate(unprobe).renews([other]).add();
            saga.step("confirm").pivot().after([other, renewing]).command(probe).valid_until(|echo| echo.until).add();
        },
        &[
            "step `renewing` renews the hold of a step that does not come before it",
            "step `hold` has an `extend`, but no `valid_until` that says when it is needed",
            "step `confirm` holds something until a time, but nothing is held any more from the pivot on",
        ],
    );
}

#[test]
fn waits_are_checked() {
    check(
        |saga| {
            saga.step("approval").signal::<Approval>("Approval").within(Duration::ZERO).add();
            saga.step("cool-down").pivot().timer(|_, _| Wake::After(SECOND)).add();
        },
        &[
            "step `approval` waits for `Approval`, which is not a signal's name: 1 to 48 of a-z, 0-9 and `-`, starting with a letter",
            "compensatable step `approval` does not come before pivot `cool-down`: it could run when nothing is undone any more",
            "step `approval` awaits its signal for less than a millisecond",
            "pivot `cool-down` sends no command: a saga cannot be past its point of no return by waiting",
        ],
    );
    check(
        |saga| {
            let approval = saga.step("approval").signal::<Approval>("approval").add();
            let confirm = saga.step("confirm").pivot().after([approval]).command(probe).add();
            saga.step("receipt").retriable().after([confirm]).signal::<Approval>("receipt").add();
        },
        &[],
    );
}
