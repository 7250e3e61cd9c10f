//! The tests that a definition and a participant get for free.

use std::sync::atomic::{AtomicU32, Ordering};

use machine::testing::check_definition;
use serde_json::{Value, json};
use worker_runtime::testkit::{Harness, Snapshot, conformance::check_pair};

use crate::{
    definition::definition,
    handlers,
    messages::{HoldSuite, ReleaseSuite},
};

/// A reply of the right type for each command, and a payload for the signal.
fn reply(command: &str) -> Value {
    match command {
        "accept" => json!({ "accepted_by": "Ada" }),
        _ => json!({}),
    }
}

#[test]
fn the_definition_survives_whatever_can_go_wrong() {
    let definition = definition().unwrap();
    assert_eq!(machine::lint(&definition), []);
    let input = json!({ "booking": "bkg-1", "suite": "Orchid" });
    check_definition(&definition, &input, &reply).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_participant_does_and_undoes_once_however_often_it_is_asked() {
    let database = private_servers::testing::database("tutorial").await;
    let harness = Harness::open(handlers::domain(), &database, kit::clock::system()).await;
    let numbers = AtomicU32::new(0);
    let fresh = || {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let booking = format!("bkg-{number}");
        let hold = HoldSuite { booking: booking.clone(), suite: format!("suite {number}") };
        (hold, ReleaseSuite { booking })
    };
    check_pair(&harness, &Snapshot::new(["SELECT booking, suite, status FROM upgrade"]), fresh).await;
}
