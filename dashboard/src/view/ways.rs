//! The processes of an installation, in words: lanes and their orchestrators, clocks, and the ways to the domains.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use contract::{
    Route,
    orchestrator_api::{CircuitCause, DomainWay, OrchestratorView, Processes, WorkerView},
};

use super::times::{self, Moment};

/// A difference between clocks from which on it is told as trouble, in milliseconds: times of holds and deadlines go by the
/// clocks.
const CLOCK_AHEAD_MS_MAX: u64 = 1_000;

/// The way to a domain.
pub(crate) struct Way {
    pub(crate) domain: &'static str,
    pub(crate) consumers: Option<u32>,
    /// The versions of its workers, where they are not all of one that is known.
    pub(crate) mixed: Option<String>,
    pub(crate) messages: Option<u64>,
    pub(crate) under_way: u64,
    pub(crate) held_sagas: u64,
    /// The reason why nothing but probes is sent to it, since when, and the time of the next probe.
    pub(crate) circuit: Option<(&'static str, Moment, Moment)>,
}

pub(crate) fn ways(processes: &Processes, now: DateTime<Utc>) -> Vec<Way> {
    processes.domains.iter().map(|domain| way(domain, &processes.workers, now)).collect()
}

fn way(domain: &DomainWay, workers: &[WorkerView], now: DateTime<Utc>) -> Way {
    let circuit = domain.circuit.map(|circuit| {
        let cause = match circuit.cause {
            CircuitCause::DomainSilent => "answers nothing",
            CircuitCause::QueueRefuses => "takes nothing",
        };
        (cause, times::moment(circuit.since, now), times::moment(circuit.next_probe_at, now))
    });
    Way {
        domain: domain.route.as_str(),
        consumers: domain.queue.map(|queue| queue.consumers),
        mixed: mixed(domain.route, domain.unknown_consumers, workers),
        messages: domain.queue.map(|queue| queue.messages),
        under_way: domain.under_way,
        held_sagas: domain.held_sagas,
        circuit,
    }
}

/// A rolling upgrade shows as two versions, and one from a program that does not answer as a version and an unknown one.
fn mixed(route: Route, unknown: u32, workers: &[WorkerView]) -> Option<String> {
    let of_domain = workers.iter().filter(|worker| worker.domains.contains(&route));
    let versions: BTreeSet<&str> = of_domain.map(|worker| worker.version.as_str()).collect();
    if unknown == 0 && versions.len() < 2 {
        return None;
    }
    let unknown = (unknown > 0).then(|| format!("{unknown} unknown"));
    Some(versions.into_iter().map(str::to_owned).chain(unknown).collect::<Vec<_>>().join(", "))
}

/// The orphans that the lanes have found.
pub(crate) fn orphans(processes: &Processes) -> u64 {
    processes.orchestrators.iter().flat_map(|process| &process.lanes).map(|lane| lane.orphans).sum()
}

/// How many lanes answer, and whose they are.
pub(crate) fn lanes(processes: &Processes) -> String {
    let answering: usize = processes.orchestrators.iter().map(|process| process.lanes.len()).sum();
    let all = answering + processes.silent_shards.len();
    let owners = processes.orchestrators.len();
    let orchestrators = if owners == 1 { "orchestrator" } else { "orchestrators" };
    format!("{answering} of {all} lanes answer, {owners} {orchestrators}")
}

/// The clock that is off, or that all are in step with the database's.
pub(crate) fn clocks(processes: &Processes) -> String {
    let off = processes.orchestrators.iter().filter(|process| is_off(process)).filter_map(clock_of);
    off.map(|clock| format!("a clock is {clock}")).next().unwrap_or_else(|| "clocks in step".to_owned())
}

/// The clock of one orchestrator, against the database's.
pub(crate) fn clock_of(process: &OrchestratorView) -> Option<String> {
    let error = process.clock_error_ms;
    process.clock_ahead_ms.map(|ahead| format!("{} ± {error} ms", words(ahead, error)))
}

/// True when a clock is off by so much that people should hear of it.
pub(crate) fn is_off(process: &OrchestratorView) -> bool {
    process.clock_ahead_ms.is_some_and(|ahead| ahead.unsigned_abs() > CLOCK_AHEAD_MS_MAX)
}

fn words(ahead_ms: i64, error_ms: u64) -> String {
    match ahead_ms {
        _ if ahead_ms.unsigned_abs() <= error_ms => "in step".to_owned(),
        ..0 => format!("{} ms behind", ahead_ms.unsigned_abs()),
        _ => format!("{ahead_ms} ms ahead"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_where_they_differ() {
        let worker = |version: &str, domains: &[Route]| WorkerView {
            instance: kit::ids::instance_id(),
            version: version.to_owned(),
            started_at: DateTime::UNIX_EPOCH,
            domains: domains.into(),
            answered_ms: 1,
        };
        let workers = [worker("0.2.0", &[Route::Payment]), worker("0.1.0", &[Route::Payment, Route::Feed])];
        assert_eq!(mixed(Route::Payment, 0, &workers).as_deref(), Some("0.1.0, 0.2.0"));
        assert_eq!(mixed(Route::Feed, 0, &workers), None);
        assert_eq!(mixed(Route::Feed, 1, &workers).as_deref(), Some("0.1.0, 1 unknown"));
        assert_eq!(mixed(Route::Order, 0, &workers), None);
    }

    #[test]
    fn a_clock_is_told_in_words() {
        assert_eq!([3, -250, 1_200].map(|ahead| words(ahead, 5)), ["in step", "250 ms behind", "1200 ms ahead"]);
    }
}
