//! The processes: orchestrators with their lanes and clocks, the workers, and the ways to the domains.

use askama::Template;
use axum::{extract::State, response::Response};
use chrono::{DateTime, Utc};
use contract::orchestrator_api::{DomainWay, LaneView, OrchestratorView, Processes, SilentShard, WorkerView};

use super::page;
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::{
        names::{self, Id},
        times::{self, Moment},
        ways::{self, Way},
    },
    visitor::Visitor,
};

/// A line of the table of orchestrators.
struct Orchestrator {
    instance: Id,
    version: String,
    started: Moment,
    clock: Option<String>,
    clock_is_off: bool,
    shards: String,
    slowest_ms: u64,
}

/// A line of the table of lanes.
struct Shard {
    number: u16,
    /// None where no lane answered.
    answered_ms: Option<u64>,
    taking_over: bool,
    owner: Option<Id>,
    since: Option<Moment>,
    orphans: u64,
}

/// A line of the table of workers.
struct Worker {
    /// None where a consumer gave no answer.
    instance: Option<Id>,
    version: Option<String>,
    domains: String,
    started: Option<Moment>,
    answered_ms: Option<u64>,
    /// The number of processes, or of consumers of which no more is known.
    count: u32,
}

#[derive(Template)]
#[template(path = "processes.html")]
struct ProcessesPage {
    frame: Frame,
    orchestrators: Vec<Orchestrator>,
    shards: Vec<Shard>,
    workers: Vec<Worker>,
    ways: Vec<Way>,
}

pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    let processes: Processes = app.door.get(&visitor.session, "/processes", &[]).await?;
    let now = visitor.now;
    let answering = processes.orchestrators.iter();
    let answering = answering.flat_map(|owner| owner.lanes.iter().map(move |lane| answered(owner, lane, now)));
    let mut shards: Vec<_> = answering.chain(processes.silent_shards.iter().map(|shard| silent(shard, now))).collect();
    shards.sort_by_key(|shard| shard.number);
    page(&ProcessesPage {
        frame: visitor.frame("Processes"),
        orchestrators: processes.orchestrators.iter().map(|process| orchestrator(process, now)).collect(),
        shards,
        workers: workers(&processes, now),
        ways: ways::ways(&processes, now),
    })
}

fn orchestrator(process: &OrchestratorView, now: DateTime<Utc>) -> Orchestrator {
    let mut shards: Vec<_> = process.lanes.iter().map(|lane| lane.shard).collect();
    shards.sort_unstable();
    Orchestrator {
        instance: names::id(&process.instance),
        version: process.version.clone(),
        started: times::moment(process.started_at, now),
        clock: ways::clock_of(process),
        clock_is_off: ways::is_off(process),
        shards: shards.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        slowest_ms: process.lanes.iter().map(|lane| lane.answered_ms).max().unwrap_or_default(),
    }
}

/// The workers that answered, and the consumers that nobody spoke for.
fn workers(processes: &Processes, now: DateTime<Utc>) -> Vec<Worker> {
    let unknown = processes.domains.iter().filter(|domain| domain.unknown_consumers > 0);
    processes.workers.iter().map(|worker| known(worker, now)).chain(unknown.map(nameless)).collect()
}

fn known(worker: &WorkerView, now: DateTime<Utc>) -> Worker {
    let domains: Vec<_> = worker.domains.iter().map(|route| route.as_str()).collect();
    Worker {
        instance: Some(names::id(worker.instance)),
        version: Some(worker.version.clone()),
        domains: domains.join(", "),
        started: Some(times::moment(worker.started_at, now)),
        answered_ms: Some(worker.answered_ms),
        count: 1,
    }
}

fn nameless(domain: &DomainWay) -> Worker {
    Worker {
        instance: None,
        version: None,
        domains: domain.route.as_str().to_owned(),
        started: None,
        answered_ms: None,
        count: domain.unknown_consumers,
    }
}

fn answered(owner: &OrchestratorView, lane: &LaneView, now: DateTime<Utc>) -> Shard {
    Shard {
        number: lane.shard,
        answered_ms: Some(lane.answered_ms),
        taking_over: lane.taking_over,
        owner: Some(names::id(&owner.instance)),
        since: lane.since.map(|since| times::moment(since, now)),
        orphans: lane.orphans,
    }
}

fn silent(shard: &SilentShard, now: DateTime<Utc>) -> Shard {
    Shard {
        number: shard.shard,
        answered_ms: None,
        taking_over: false,
        owner: shard.instance.as_ref().map(names::id),
        since: shard.since.map(|since| times::moment(since, now)),
        orphans: 0,
    }
}
