//! Pauses of domains, definitions and steps: one a scope, known to all processes and told to all.

use contract::orchestrator_api::{PAUSES_MAX, Pause};
use journal::PauseBegun;

use crate::{adapters::Storage, fixtures::*};

fn pause(scope: &str) -> Pause {
    let (actor, role, reason) = ("usr_1".to_owned(), "operator".to_owned(), "because".to_owned());
    Pause { scope: scope.parse().unwrap(), actor, role, reason, since: now() }
}

pub(crate) async fn a_pause_is_known_to_every_process_until_it_ends(storage: &dyn Storage) {
    let (one, other) = (storage.process().await, storage.process().await);
    let mut lane = other.lane(0).await.unwrap();
    let mut changed = other.pauses_changed();
    changed.mark_unchanged();
    let first = pause("order@2:hold-seats");
    assert_eq!(one.begin_pause(&first).await.unwrap(), PauseBegun::Begun);
    changed.changed().await.unwrap();
    assert_eq!(lane.pauses().await.unwrap(), std::slice::from_ref(&first));
    let again = Pause { reason: "another".to_owned(), ..first.clone() };
    assert_eq!(other.begin_pause(&again).await.unwrap(), PauseBegun::Known(first.clone()));
    assert_eq!(other.end_pause(&first.scope).await.unwrap(), Some(first.clone()));
    changed.changed().await.unwrap();
    assert_eq!(other.end_pause(&first.scope).await.unwrap(), None);
    assert!(one.pauses().await.unwrap().is_empty());
    for number in 0..PAUSES_MAX {
        assert_eq!(one.begin_pause(&pause(&format!("order@{number}"))).await.unwrap(), PauseBegun::Begun);
    }
    assert_eq!(one.begin_pause(&pause("payment")).await.unwrap(), PauseBegun::TooMany);
}
