//! The explanation of a saga that is not moving.

use contract::{
    Op, Route,
    orchestrator_api::{
        CircuitCause, CommandPlace, DomainState, Explanation, FlowState, LaneState, OpenCircuit, OpenStep, PauseScope,
        PossibleAct, QueueState, StandstillReason,
    },
    saga::{Cause, PauseClock, SagaStatus},
};

use crate::{
    golden::{Golden, golden},
    samples::{at, saga, step},
};

pub(crate) fn all() -> Vec<Golden> {
    let causes = vec![CircuitCause::DomainSilent, CircuitCause::QueueRefuses];
    let places = vec![CommandPlace::Held, CommandPlace::Published, CommandPlace::Confirmed, CommandPlace::Unknown];
    vec![
        golden("explanation", explanation(true)),
        golden("explanation.least", explanation(false)),
        golden("explanation.reasons", reasons()),
        golden("explanation.circuit_causes", causes),
        golden("explanation.command_places", places),
    ]
}

pub(crate) fn explanation(full: bool) -> Explanation {
    let some = |value| full.then_some(value);
    Explanation {
        saga_id: saga(),
        status: full.then_some(SagaStatus::Running),
        head: if full { 7 } else { 0 },
        sentence: "No worker reads the queue of accommodation, in which 3 messages wait.".into(),
        reasons: vec![StandstillReason::ConsumersMissing { route: Route::Accommodation, messages: 3 }],
        steps: vec![open_step(full)],
        domains: vec![domain(full)],
        lane: full.then(lane),
        deadline_at: some(at(10)),
        clock_stands_since: some(at(5)),
        next_wake_at: some(at(6)),
        possible: vec![
            PossibleAct::Retry { steps: vec![step("hold-rooms")] },
            PossibleAct::Skip { step: step("hold-rooms"), force: true },
            PossibleAct::Edit { steps: vec![step("hold-rooms")] },
            PossibleAct::Resolve { steps: vec![step("hold-rooms")] },
            PossibleAct::Timer { steps: vec![step("cool-down")] },
            PossibleAct::Migrate { versions: vec![2] },
            PossibleAct::Cancel {},
            PossibleAct::Release {},
            PossibleAct::Abandon {},
            PossibleAct::Pause {},
            PossibleAct::Resume {},
        ],
    }
}

fn open_step(full: bool) -> OpenStep {
    let cause = Cause { step: None, code: "reply_missing".into(), message: "no reply came".into(), refused: false };
    OpenStep {
        name: step("hold-rooms"),
        op: Op::Action,
        route: Route::Accommodation,
        command: "accommodation.hold_rooms".into(),
        attempts: 2,
        attempts_max: full.then_some(5),
        command_is: full.then_some(CommandPlace::Confirmed),
        sent_at: full.then(|| at(4)),
        reply_by: full.then(|| at(5)),
        retry_at: full.then(|| at(6)),
        error: full.then_some(cause),
    }
}

fn domain(full: bool) -> DomainState {
    let circuit = OpenCircuit { cause: CircuitCause::DomainSilent, since: at(5), next_probe_at: at(6) };
    DomainState {
        route: Route::Accommodation,
        flow: full.then_some(FlowState { window: 1, under_way: 3, held_sagas: 2, circuit: Some(circuit) }),
        queue: full.then_some(QueueState { messages: 3, consumers: 0 }),
    }
}

fn lane() -> LaneState {
    LaneState {
        shard: 1,
        taking_over: false,
        loaded: true,
        broker_takes: true,
        wakes_at: Some(at(6)),
        starts_refused_for: Some("too many sagas are unfinished".into()),
    }
}

fn reasons() -> Vec<StandstillReason> {
    let (name, op, route) = (step("hold-rooms"), Op::Compensation, Route::Accommodation);
    vec![
        StandstillReason::Ended { status: SagaStatus::Completed, at: at(9) },
        StandstillReason::Quarantined { code: "row_broken".into(), detail: "row 7 is broken".into(), since: at(6) },
        StandstillReason::Unreadable { code: "definition_unknown".into(), detail: "no `order` version 2".into() },
        StandstillReason::Paused { since: at(6), clock: PauseClock::Freeze, quiescent: false },
        StandstillReason::PersonAwaited { step: name.clone(), op, code: "room_hold_expired".into() },
        StandstillReason::Orphaned {},
        StandstillReason::LaneSilent { shard: 1 },
        StandstillReason::TakeoverUnderWay { shard: 1 },
        StandstillReason::BrokerTakesNothing {},
        StandstillReason::QueueRefuses { route, since: at(5) },
        StandstillReason::DomainSilent { route, since: at(5), next_probe_at: at(6) },
        StandstillReason::ConsumersMissing { route, messages: 3 },
        StandstillReason::CommandPaused { step: name.clone(), op, scope: PauseScope::Domain(route), since: at(5) },
        StandstillReason::RoomAwaited { step: name.clone(), route, window: 64 },
        StandstillReason::ConfirmAwaited { step: name.clone(), route },
        StandstillReason::ReplyAwaited { step: name.clone(), op, route, since: at(4), reply_by: at(5) },
        StandstillReason::SignalAwaited {
            step: name.clone(),
            signal: "approval".parse().unwrap(),
            miss_at: Some(at(9)),
        },
        StandstillReason::ChildAwaited {
            step: name.clone(),
            op,
            child: saga(),
            status: Some(SagaStatus::NeedsAttention),
            paused: true,
            quarantine: Some("row_broken".into()),
        },
        StandstillReason::TimeAwaited { step: name.clone(), at: at(9) },
        StandstillReason::AttemptAwaited { step: name, op, at: at(6), code: "reply_missing".into() },
    ]
}
