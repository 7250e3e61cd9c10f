//! A small saga of our own: four steps over three domains, quick to retry.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::{Command, Route};
use machine::{Builder, Catalog, Definition, Retry, Wake};
use serde::{Deserialize, Serialize};

/// The start input.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trip {
    pub(crate) place: String,
    /// Read by the worker: which step it refuses, and so on.
    #[serde(default)]
    pub(crate) script: String,
}

macro_rules! command {
    ($name:ident, $wire:literal, $route:expr) => {
        #[derive(Serialize, Deserialize)]
        pub(crate) struct $name {
            pub(crate) script: String,
        }

        impl Command for $name {
            const NAME: &'static str = $wire;
            const VERSION: u16 = 1;
            const ROUTE: Route = $route;
            type Reply = Reference;
        }
    };
}

/// The reply of every step.
#[derive(Serialize, Deserialize)]
pub(crate) struct Reference {
    pub(crate) reference: String,
    /// The time until which something is held.
    #[serde(default)]
    pub(crate) until: Option<DateTime<Utc>>,
}

command!(Create, "order.create", Route::Order);
command!(Reject, "order.reject", Route::Order);
command!(Hold, "accommodation.hold_rooms", Route::Accommodation);
command!(Release, "accommodation.release_rooms", Route::Accommodation);
command!(Extend, "accommodation.extend_rooms", Route::Accommodation);
command!(Authorize, "payment.authorize", Route::Payment);
command!(Void, "payment.void", Route::Payment);
command!(Confirm, "order.confirm", Route::Order);

/// How long the quick saga waits for a reply.
pub(crate) const REPLY_WITHIN: Duration = Duration::from_millis(1500);

fn build(name: &str, version: u32, reply_within: Duration) -> Definition {
    let endless = Retry::exponential(Duration::from_millis(20)).cap(Duration::from_millis(200));
    let retry = endless.attempts_max(4);
    let mut saga = Builder::<Trip>::new(name, version);
    saga.attribute("letters", |trip| Some(trip.place.chars().count()));
    let create = saga
        .step("create-order")
        .command(|trip, _| Create { script: trip.script.clone() })
        .compensate(|trip, _| Reject { script: trip.script.clone() })
        .retry(retry)
        .reply_within(reply_within)
        .add();
    let hold = saga
        .step("hold-room")
        .after([create])
        .command(|trip, _| Hold { script: trip.script.clone() })
        .compensate(|trip, _| Release { script: trip.script.clone() })
        .retry(retry)
        .reply_within(reply_within)
        .add();
    let authorize = saga
        .step("authorize")
        .after([hold])
        .command(|trip, _| Authorize { script: trip.script.clone() })
        .compensate(|trip, _| Void { script: trip.script.clone() })
        .retry(retry)
        .reply_within(reply_within)
        .add();
    saga.step("confirm-order")
        .after([authorize])
        .pivot()
        .command(|trip, _| Confirm { script: trip.script.clone() })
        .retry(endless)
        .reply_within(reply_within)
        .add();
    saga.build().unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// The payload of the signal `approval`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approval {
    pub(crate) by: String,
}

/// A saga that waits for a signal, and then for a time: a second when its script is `short`, else an hour. Version 2 tells of
/// its end, and version 3 checks before it waits.
fn patient(version: u32) -> Definition {
    let mut saga = Builder::<Trip>::new("patient-trip", version);
    let create = saga
        .step("create-order")
        .command(|trip, _| Create { script: trip.script.clone() })
        .compensate(|trip, _| Reject { script: trip.script.clone() })
        .add();
    let before = if version == 3 {
        let check = saga.step("check").after([create]).command(|trip, _| Authorize { script: trip.script.clone() });
        check.compensate(|trip, _| Void { script: trip.script.clone() }).add()
    } else {
        create
    };
    let approval = saga.step("approval").after([before]).signal::<Approval>("approval").add();
    let cool_down = saga
        .step("cool-down")
        .after([approval])
        .timer(|trip, ()| Wake::After(Duration::from_secs(if trip.script == "short" { 1 } else { 3_600 })))
        .add();
    let confirm = saga
        .step("confirm-order")
        .after([cool_down])
        .pivot()
        .command(|trip, _| Confirm { script: trip.script.clone() })
        .add();
    if version > 1 {
        saga.step("tell").retriable().after([confirm]).command(|trip, _| Confirm { script: trip.script.clone() }).add();
    }
    saga.build().unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// A saga whose signal must come within a second.
fn hurried() -> Definition {
    let mut saga = Builder::<Trip>::new("hurried-trip", 1);
    let create = saga
        .step("create-order")
        .command(|trip, _| Create { script: trip.script.clone() })
        .compensate(|trip, _| Reject { script: trip.script.clone() })
        .add();
    let approval = saga.step("approval").after([create]).signal::<Approval>("approval");
    let approval = approval.within(Duration::from_secs(1)).add();
    saga.step("confirm-order")
        .after([approval])
        .pivot()
        .command(|trip, _| Confirm { script: trip.script.clone() })
        .add();
    saga.build().unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// A saga that holds something until a time while it waits for a signal. It extends it with two seconds to go.
fn held() -> Definition {
    let mut saga = Builder::<Trip>::new("held-trip", 1);
    saga.reply_within(Duration::from_millis(500));
    let hold = saga
        .step("hold-room")
        .command(|trip, _| Hold { script: trip.script.clone() })
        .compensate(|trip, _| Release { script: trip.script.clone() })
        .valid_until(|held| held.until)
        .extend(|trip, ()| Extend { script: trip.script.clone() }, |held| held.until)
        .add();
    let approval = saga.step("approval").after([hold]).signal::<Approval>("approval").add();
    saga.step("confirm-order")
        .after([approval])
        .pivot()
        .command(|trip, _| Confirm { script: trip.script.clone() })
        .add();
    saga.build().unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// A child without a point of no return; its result is what its step was answered.
fn leg() -> Definition {
    let mut saga = Builder::<Trip, String>::new("leg", 1);
    saga.attribute("leg_to", |trip| Some(trip.place.chars().count()));
    saga.result(|_, reference| Reference { reference: reference.clone(), until: None });
    saga.step("walk")
        .command(|trip, _| Create { script: trip.script.clone() })
        .on_reply(|reference, walked| reference.clone_from(&walked.reference))
        .compensate(|trip, _| Reject { script: trip.script.clone() })
        .add();
    saga.build().unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// A saga whose steps are other sagas: a leg that can be undone, and a trip as its point of no return.
fn family() -> Definition {
    let mut saga = Builder::<Trip, String>::new("family-trip", 1);
    let input = |trip: &Trip, _: &String| Trip { place: trip.place.clone(), script: trip.script.clone() };
    let leg =
        saga.step("leg").child("leg", 1, input).on_end::<Reference>(|known, end| known.clone_from(&end.reference));
    let leg = leg.add();
    saga.step("pay").after([leg]).pivot().child("trip", 1, input).add();
    saga.build().unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// A saga that starts as many others as one may, all of them in its first record: 8 groups of 7 legs.
fn caravan() -> [Definition; 2] {
    let starts = |name: &str, children: usize, child: &'static str| {
        let mut saga = Builder::<Trip>::new(name, 1);
        for number in 1..=children {
            let input = |trip: &Trip, (): &()| Trip { place: trip.place.clone(), script: trip.script.clone() };
            saga.step(&format!("{child}-{number}")).child(child, 1, input).add();
        }
        saga.build().unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
    };
    [starts("caravan", 8, "group"), starts("group", 7, "leg")]
}

/// `trip` waits long for replies, `quick-trip` short.
pub(crate) fn catalog() -> Catalog {
    let trip = build("trip", 1, Duration::from_secs(30));
    let quick = build("quick-trip", 1, REPLY_WITHIN);
    let sagas = [trip, quick, patient(1), hurried(), held(), leg(), family()];
    Catalog::new(sagas.into_iter().chain(caravan())).unwrap()
}

/// A program of another time: it knows only version 2.
pub(crate) fn later_catalog() -> Catalog {
    Catalog::new([build("trip", 2, Duration::from_secs(30))]).unwrap()
}

/// A later program: it knows the next versions of a saga beside the first.
pub(crate) fn upgraded_catalog() -> Catalog {
    Catalog::new([patient(1), patient(2), patient(3)]).unwrap()
}
