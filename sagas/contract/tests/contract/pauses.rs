//! Pauses of domains, definitions and steps.

use contract::{
    Route,
    orchestrator_api::{Pause, PauseRequest, PauseScope, PauseView},
    saga::PauseClock,
};

use crate::{
    golden::{Golden, golden},
    samples::{at, step},
};

pub(crate) fn all() -> Vec<Golden> {
    let scopes = vec![PauseScope::Domain(Route::Payment), definition(), one_step()];
    vec![
        golden("pause_scopes", scopes),
        golden("pause_request", PauseRequest { scope: definition(), reason: "wrong prices".into() }),
        golden("pause", pause()),
        golden("pause_view", view(true)),
        golden("pause_view.least", view(false)),
    ]
}

fn definition() -> PauseScope {
    PauseScope::Definition { name: "order".into(), version: 2 }
}

fn one_step() -> PauseScope {
    PauseScope::Step { name: "order".into(), version: 2, step: step("hold-seats") }
}

fn pause() -> Pause {
    let (actor, role, reason) = ("usr_1".into(), "operator".into(), "wrong prices".into());
    Pause { scope: one_step(), actor, role, reason, since: at(3) }
}

fn view(full: bool) -> PauseView {
    PauseView {
        pause: pause(),
        clock: PauseClock::Freeze,
        under_way: if full { 2 } else { 0 },
        held_sagas: 7,
        silent_shards: if full { vec![3] } else { Vec::new() },
        quiescent: !full,
    }
}

#[test]
fn a_scope_is_one_word_and_others_are_refused() {
    for scope in [PauseScope::Domain(Route::Payment), definition(), one_step()] {
        assert_eq!(scope.to_string().parse(), Ok(scope));
    }
    for wrong in ["", "paymint", "order@", "order@x", "@2", "order@2:", "order@2:Hold", "or/der@2", "order@2:a:b"] {
        assert!(wrong.parse::<PauseScope>().is_err(), "{wrong}");
    }
}
