//! The state of a lane's flow control, as explanations show it and the search for orphans needs it.

use std::collections::HashSet;

use contract::{
    Route, SagaId,
    orchestrator_api::{CircuitCause, CommandPlace, DomainState, FlowState, OpenCircuit},
};

use super::{Cause, Circuit, Flow, place};
use crate::{lane::timers::Now, messages::wire::CommandInLane};

impl Flow {
    /// The flow to every domain.
    pub(in crate::lane) fn domains(&self, now: Now) -> Vec<DomainState> {
        let flow = |route: Route| {
            let flow = &self.routes[place(route)];
            let circuit = match &flow.circuit {
                Circuit::Closed => None,
                Circuit::Open(open) => {
                    let cause = match open.cause {
                        Cause::Silent => CircuitCause::DomainSilent,
                        Cause::NotTaken => CircuitCause::QueueRefuses,
                    };
                    let (since, next_probe_at) = (now.wall_at(open.since), now.wall_at(open.probe_at));
                    Some(OpenCircuit { cause, since, next_probe_at })
                }
            };
            let (window, under_way, held_sagas) = (flow.window, flow.under_way, flow.held.len());
            let [window, under_way, held_sagas] = [window, under_way, held_sagas].map(|count| count as u64);
            FlowState { window, under_way, held_sagas, circuit }
        };
        Route::ALL.map(|route| DomainState { route, flow: Some(flow(route)), queue: None }).into()
    }

    /// The commands of a saga that are under way.
    pub(in crate::lane) fn commands_of(&self, saga: SagaId) -> Vec<CommandInLane> {
        let of_saga = self.under_way.iter().filter(|(id, _)| id.saga == saga);
        let command = of_saga.map(|(id, out)| {
            let place = if out.confirmed { CommandPlace::Confirmed } else { CommandPlace::Published };
            CommandInLane { command_id: id.clone(), place }
        });
        command.collect()
    }

    /// The domains for which a saga is held back.
    pub(in crate::lane) fn held_for(&self, saga: SagaId) -> Vec<Route> {
        Route::ALL.into_iter().filter(|route| self.routes[place(*route)].is_held.contains(&saga)).collect()
    }

    /// The sagas with commands that are under way or held back.
    pub(in crate::lane) fn sagas(&self) -> HashSet<SagaId> {
        let held = self.routes.iter().flat_map(|route| route.is_held.iter().copied());
        self.under_way.keys().map(|id| id.saga).chain(held).collect()
    }

    /// True while the broker takes commands.
    pub(in crate::lane) const fn broker_takes(&self) -> bool {
        self.ready
    }
}
