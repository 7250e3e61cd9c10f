//! The processes: orchestrators with their lanes and clocks, and the ways to the domains' workers.

use askama::Template;
use axum::{extract::State, response::Response};
use chrono::{DateTime, Utc};
use contract::orchestrator_api::{LaneView, OrchestratorView, Processes, SilentShard};

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

#[derive(Template)]
#[template(path = "processes.html")]
struct ProcessesPage {
    frame: Frame,
    orchestrators: Vec<Orchestrator>,
    shards: Vec<Shard>,
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
