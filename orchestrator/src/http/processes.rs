//! `GET /api/processes`: the orchestrators with their lanes, and the workers, asked over the broker, and the ways to the domains.
//! Nothing is kept for it and no process reports by itself: an installation that nobody looks at pays nothing.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    Route,
    orchestrator_api::{DomainWay, LaneView, OrchestratorView, Processes, QueueState, SilentShard, WorkerView},
};
use futures::future::join_all;
use journal::Owners;
use kit::http::{ApiError, Json};

use super::{Api, problems};
use crate::{
    messages::{questions, wire::LaneTold},
    roll_call::{self, Called},
    shared::Shared,
};

/// A lane's answer, with the times of this process's clock between which it was given.
struct Answer {
    shard: u16,
    told: LaneTold,
    asked_at: DateTime<Utc>,
    answered_at: DateTime<Utc>,
}

pub(super) async fn show(State(api): State<Api>) -> Result<Json<Processes>, ApiError> {
    let shared = &*api.shared;
    let asked = (0..shared.shards).map(|shard| ask(shared, shard));
    let (lanes, called, owners) = tokio::join!(join_all(asked), roll_call::call(shared), owners(shared));
    let (owners, ahead) = owners.map_err(|error| problems::journal(&error))?;
    let (answers, silent): (Vec<_>, Vec<_>) = lanes.into_iter().partition(Result::is_ok);
    let answers: Vec<Answer> = answers.into_iter().filter_map(Result::ok).collect();
    let silent_shards = silent.into_iter().filter_map(Result::err).map(|shard| silent_shard(shard, &owners)).collect();
    let Called { queues, workers } = called;
    let domains = queues.into_iter().map(|(route, queue)| way(route, queue, &answers, &workers)).collect();
    let orchestrators = orchestrators(&answers, &owners, ahead);
    Ok(Json(Processes { orchestrators, silent_shards, domains, workers }))
}

/// The answer of a shard's lane, or the shard.
async fn ask(shared: &Shared, shard: u16) -> Result<Answer, u16> {
    let asked_at = shared.clock.now();
    let told = questions::ask_lane(shared, shard).await.ok_or(shard)?;
    Ok(Answer { shard, told, asked_at, answered_at: shared.clock.now() })
}

/// The owners as the journal has them, and how far this process's clock is ahead of the journal's, with the error of that.
async fn owners(shared: &Shared) -> Result<(Owners, Option<(TimeDelta, TimeDelta)>), journal::JournalError> {
    let asked_at = shared.clock.now();
    let owners = shared.journal.owners().await?;
    let ahead = owners.now.map(|now| ahead_of(now, asked_at, shared.clock.now()));
    Ok((owners, ahead.map(|(behind, error)| (-behind, error))))
}

/// How far a clock is ahead that was read between two times of ours, and how wrong that may be.
fn ahead_of(read: DateTime<Utc>, asked_at: DateTime<Utc>, answered_at: DateTime<Utc>) -> (TimeDelta, TimeDelta) {
    let error = (answered_at - asked_at) / 2;
    (read - (asked_at + error), error)
}

fn orchestrators(answers: &[Answer], owners: &Owners, ahead: Option<(TimeDelta, TimeDelta)>) -> Vec<OrchestratorView> {
    let mut by_instance: BTreeMap<&str, Vec<&Answer>> = BTreeMap::new();
    for answer in answers {
        by_instance.entry(&answer.told.instance).or_default().push(answer);
    }
    let view = |(instance, answers): (&str, Vec<&Answer>)| {
        // The answer that took the least time tells the clock best.
        let best = answers.iter().min_by_key(|answer| answer.answered_at - answer.asked_at)?;
        let (lane_ahead, lane_error) = ahead_of(best.told.at, best.asked_at, best.answered_at);
        let clock_ahead = ahead.map(|(ahead, _)| ahead + lane_ahead);
        let error = lane_error + ahead.map_or(TimeDelta::zero(), |(_, error)| error);
        Some(OrchestratorView {
            instance: instance.to_owned(),
            version: best.told.version.clone(),
            started_at: best.told.started_at,
            clock_ahead_ms: clock_ahead.map(|ahead| ahead.num_milliseconds()),
            // What is cut from the milliseconds is in it.
            clock_error_ms: milliseconds(error) + 1,
            lanes: answers.iter().map(|answer| lane(answer, owners)).collect(),
        })
    };
    by_instance.into_iter().filter_map(view).collect()
}

fn lane(Answer { shard, told, asked_at, answered_at }: &Answer, owners: &Owners) -> LaneView {
    let owner = owners.shards.iter().find(|owner| owner.shard == *shard && owner.instance == told.instance);
    LaneView {
        shard: *shard,
        since: owner.map(|owner| owner.since),
        answered_ms: milliseconds(*answered_at - *asked_at),
        taking_over: told.taking_over,
        orphans: told.orphans,
    }
}

fn silent_shard(shard: u16, owners: &Owners) -> SilentShard {
    let owner = owners.shards.iter().find(|owner| owner.shard == shard);
    SilentShard { shard, instance: owner.map(|owner| owner.instance.clone()), since: owner.map(|owner| owner.since) }
}

fn way(route: Route, queue: Option<QueueState>, answers: &[Answer], workers: &[WorkerView]) -> DomainWay {
    let domains = answers.iter().flat_map(|answer| &answer.told.domains);
    let flows: Vec<_> = domains.filter(|domain| domain.route == route).filter_map(|way| way.flow.as_ref()).collect();
    DomainWay {
        route,
        queue,
        under_way: flows.iter().map(|flow| flow.under_way).sum(),
        held_sagas: flows.iter().map(|flow| flow.held_sagas).sum(),
        circuit: flows.iter().filter_map(|flow| flow.circuit).min_by_key(|circuit| circuit.since),
        unknown_consumers: queue.map_or(0, |queue| roll_call::unknown(route, queue, workers)),
    }
}

fn milliseconds(length: TimeDelta) -> u64 {
    u64::try_from(length.num_milliseconds()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_told_from_the_middle_of_the_question() {
        let at = |ms: i64| DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms);
        let (ahead, error) = ahead_of(at(5_010), at(0), at(20));
        assert_eq!((ahead.num_milliseconds(), error.num_milliseconds()), (5_000, 10));
        let (ahead, _) = ahead_of(at(-4_990), at(0), at(20));
        assert_eq!(ahead.num_milliseconds(), -5_000);
    }
}
