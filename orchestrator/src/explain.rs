//! The explanation why a saga is not moving, put together from all that know a part of it.
//!
//! ```text
//!  journal      where the saga stands, what it is left alone for
//!  its lane     where its commands are, circuits, held sagas, the next wake-up      asked by message, with a time limit
//!  the broker   how full the domains' queues are, and who reads them
//! ```
//!
//! The journal is read before and after the lane is asked. A saga that has moved in between is asked for again: reasons
//! that are drawn from two moments would be wrong.

mod children;
mod possible;
mod reasons;
mod sentence;
mod steps;

use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::{
    Route, SagaId,
    orchestrator_api::{DomainState, Explanation, OpenStep, QueueState, StandstillReason},
};
use futures::future::join_all;
use journal::{Door, JournalError, Quarantined, Stored};
use machine::{Catalog, Definition, State};
use messaging::QueueName;

use self::children::Child;
use crate::{
    messages::{questions, wire::StandsInLane},
    saga_instance::{Parked, definition_of, replay},
    shared::Shared,
};

/// How often a saga that moves meanwhile is looked at again. One that still moves then is not stuck.
const LOOKS_MAX: usize = 3;

/// How long the broker may take to tell how full a queue is: it takes milliseconds.
const DEPTH_WAIT: Duration = Duration::from_secs(1);

/// All that is known of a saga that can be read.
struct Facts<'a> {
    catalog: &'a Catalog,
    definition: &'a Definition,
    state: &'a State,
    stored: &'a Stored,
    quarantined: Option<&'a Quarantined>,
    /// The children that it waits for.
    children: &'a [Child],
    /// None when the lane gave no answer.
    stands: Option<&'a StandsInLane>,
    /// True when the saga had not moved between the two readings of the journal.
    at_rest: bool,
    shard: u16,
    now: DateTime<Utc>,
}

/// Explains how a saga stands; none when there is no such saga.
///
/// # Errors
/// When the journal does not answer. A saga that alone cannot be read is explained.
pub(crate) async fn explain(shared: &Shared, id: SagaId) -> Result<Option<Explanation>, JournalError> {
    let (quarantined, found) = tokio::join!(shared.journal.quarantine_of(id), shared.journal.read(Door::Reads, id, 0));
    let quarantined = quarantined?;
    let stored = match found {
        Ok(None) => return Ok(None),
        Ok(Some(stored)) => stored,
        Err(error @ (JournalError::BrokenRow { .. } | JournalError::Damaged { .. })) => {
            return Ok(Some(unreadable(id, None, quarantined.as_ref(), &Parked::broken(&error))));
        }
        Err(error) => return Err(error),
    };
    look(shared, stored, quarantined.as_ref()).await.map(|(explanation, _)| Some(explanation))
}

/// Explains how a saga stands that was read, and tells it as it was read last: what moved meanwhile is in both.
///
/// # Errors
/// When the journal does not answer.
pub(crate) async fn explain_read(shared: &Shared, stored: Stored) -> Result<(Explanation, Stored), JournalError> {
    let quarantined = shared.journal.quarantine_of(stored.row.id).await?;
    look(shared, stored, quarantined.as_ref()).await
}

async fn look(
    shared: &Shared,
    mut stored: Stored,
    quarantined: Option<&Quarantined>,
) -> Result<(Explanation, Stored), JournalError> {
    let id = stored.row.id;
    for look in 1.. {
        if stored.row.status.is_final() {
            return Ok((ended(&stored), stored));
        }
        let state = replay(&stored);
        let known =
            state.and_then(|state| definition_of(&shared.catalog, &state).map(|definition| (definition, state)));
        let (definition, state) = match known {
            Ok(known) => known,
            Err(parked) => return Ok((unreadable(id, Some(&stored), quarantined, &parked), stored)),
        };
        let routes = steps::routes(&definition, &state);
        let (stands, queues) = tokio::join!(questions::ask(shared, id), depths(shared, &routes));
        let head = head(&stored);
        let Some(later) = shared.journal.read(Door::Reads, id, head).await? else { break };
        let at_rest = later.records.is_empty();
        if !at_rest && look < LOOKS_MAX {
            stored.row = later.row;
            stored.records.extend(later.records);
            continue;
        }
        let children = children::of(shared, &state).await?;
        let (children, stands, now) = (&children[..], stands.as_ref(), shared.clock.now());
        let shard = id.shard(shared.shards);
        let facts = Facts {
            catalog: &shared.catalog,
            definition: &definition,
            state: &state,
            stored: &stored,
            quarantined,
            children,
            stands,
            at_rest,
            shard,
            now,
        };
        return Ok((explained(&facts, domains(stands, queues)), stored));
    }
    Ok((ended(&stored), stored))
}

fn explained(facts: &Facts<'_>, domains: Vec<DomainState>) -> Explanation {
    let steps = steps::open(facts);
    let reasons = reasons::of(facts, &steps, &domains);
    Explanation {
        status: Some(facts.state.status),
        deadline_at: machine::deadline(facts.definition, facts.state),
        clock_stands_since: machine::clock_stands_since(facts.state, facts.now),
        next_wake_at: machine::next_wake(facts.definition, facts.state, facts.now),
        lane: facts.stands.map(|stands| stands.lane.clone()),
        possible: possible::acts(facts),
        domains,
        ..bare(facts.stored.row.id, Some(facts.stored), reasons, steps)
    }
}

/// A saga that has ended.
fn ended(stored: &Stored) -> Explanation {
    let at = stored.row.finished_at.unwrap_or(stored.row.updated_at);
    let reasons = vec![StandstillReason::Ended { status: stored.row.status, at }];
    bare(stored.row.id, Some(stored), reasons, Vec::new())
}

/// A saga of which no more is known than that it cannot be read here.
fn unreadable(id: SagaId, stored: Option<&Stored>, quarantined: Option<&Quarantined>, parked: &Parked) -> Explanation {
    let reason = quarantined.map_or_else(
        || StandstillReason::Unreadable { code: parked.code().to_owned(), detail: parked.to_string() },
        reasons::quarantined,
    );
    let possible = possible::acts_on_unreadable(quarantined.is_some());
    Explanation { possible, ..bare(id, stored, vec![reason], Vec::new()) }
}

fn bare(id: SagaId, stored: Option<&Stored>, reasons: Vec<StandstillReason>, steps: Vec<OpenStep>) -> Explanation {
    Explanation {
        saga_id: id,
        status: stored.map(|stored| stored.row.status),
        head: stored.map_or(0, head),
        sentence: sentence::of(&reasons),
        reasons,
        steps,
        domains: Vec::new(),
        lane: None,
        deadline_at: None,
        clock_stands_since: None,
        next_wake_at: None,
        possible: Vec::new(),
    }
}

fn head(stored: &Stored) -> u64 {
    stored.records.last().map_or(0, |record| record.seq)
}

/// How full the queues of these domains are.
pub(crate) async fn depths(shared: &Shared, routes: &[Route]) -> Vec<(Route, Option<QueueState>)> {
    let depth = async |route: Route| {
        let queue = QueueName::commands(route.as_str());
        let asked = tokio::time::timeout(DEPTH_WAIT, shared.broker.depth(&queue)).await;
        let depth = asked.ok().and_then(Result::ok);
        (route, depth.map(|depth| QueueState { messages: depth.ready, consumers: depth.consumers }))
    };
    join_all(routes.iter().map(|route| depth(*route))).await
}

/// These domains, as the lane and the broker know them.
fn domains(stands: Option<&StandsInLane>, queues: Vec<(Route, Option<QueueState>)>) -> Vec<DomainState> {
    let domain = |(route, queue)| {
        let known = stands.and_then(|stands| stands.domains.iter().find(|domain| domain.route == route));
        DomainState { route, flow: known.and_then(|domain| domain.flow.clone()), queue }
    };
    queues.into_iter().map(domain).collect()
}
