//! The processes of an installation as rows: the orchestrators, the workers, and the ways to the domains.

use crate::{
    output::{printable, time},
    rows::Rows,
    seen::{Orchestrator, Processes, Queue, SilentShard, Way, Worker, words},
};

pub(crate) fn orchestrators(processes: &Processes) -> Rows {
    let row = |of: &Orchestrator| {
        let mut shards: Vec<_> = of.lanes.iter().map(|lane| lane.shard).collect();
        shards.sort_unstable();
        let shards: Vec<_> = shards.iter().map(ToString::to_string).collect();
        let slowest = of.lanes.iter().map(|lane| lane.answered_ms).max().unwrap_or_default();
        vec![
            printable(&of.instance),
            printable(&of.version),
            time(of.started_at),
            shards.join(","),
            of.lanes.iter().map(|lane| lane.orphans).sum::<u64>().to_string(),
            format!("{slowest} ms"),
            of.clock_ahead_ms.map_or_else(|| "-".to_owned(), |ahead| clock(ahead, of.clock_error_ms)),
        ]
    };
    let head = ["ORCHESTRATOR", "VERSION", "SINCE", "LANES", "ORPHANS", "ANSWERED IN", "CLOCK"];
    Rows::new(&head, processes.orchestrators.iter().map(row))
}

/// A clock against that of the database.
fn clock(ahead_ms: i64, error_ms: u64) -> String {
    match ahead_ms {
        _ if ahead_ms.unsigned_abs() <= error_ms => "in step".to_owned(),
        ..0 => format!("{} ms behind", ahead_ms.unsigned_abs()),
        _ => format!("{ahead_ms} ms ahead"),
    }
}

pub(crate) fn silent_shards(processes: &Processes) -> Rows {
    let row = |of: &SilentShard| {
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![of.shard.to_string(), text(of.instance.as_deref().map(printable)), text(of.since.map(time))]
    };
    Rows::new(&["SHARD", "LAST OWNER", "SINCE"], processes.silent_shards.iter().map(row))
}

/// The workers that answered, and the consumers of which no more is known.
pub(crate) fn workers(processes: &Processes) -> Rows {
    let known = |of: &Worker| {
        let domains = printable(&of.domains.join(","));
        let answered = format!("{} ms", of.answered_ms);
        vec![printable(&of.instance), printable(&of.version), time(of.started_at), domains, answered]
    };
    let unknown = |way: &Way| {
        let consumers = if way.unknown_consumers == 1 { "consumer" } else { "consumers" };
        let consumers = format!("{} {consumers}", way.unknown_consumers);
        vec![consumers, "unknown".to_owned(), "-".to_owned(), printable(&way.route), "no answer".to_owned()]
    };
    let nameless = processes.domains.iter().filter(|way| way.unknown_consumers > 0).map(unknown);
    let rows = processes.workers.iter().map(known).chain(nameless);
    Rows::new(&["WORKER", "VERSION", "SINCE", "DOMAINS", "ANSWERED IN"], rows)
}

pub(crate) fn domains(processes: &Processes) -> Rows {
    ways(processes.domains.iter())
}

/// Those with an open circuit, without a consumer, or of which the broker tells nothing.
pub(crate) fn domains_in_trouble(processes: &Processes) -> Rows {
    let consumes = |way: &Way| way.queue.as_ref().is_some_and(|queue| queue.consumers > 0);
    ways(processes.domains.iter().filter(|way| way.circuit.is_some() || !consumes(way)))
}

fn ways<'a>(ways: impl Iterator<Item = &'a Way>) -> Rows {
    let row = |way: &Way| {
        let queue = |count: fn(&Queue) -> u64| {
            way.queue.as_ref().map_or_else(|| "?".to_owned(), |queue| count(queue).to_string())
        };
        let circuit = way
            .circuit
            .as_ref()
            .map(|circuit| format!("open since {}: {}", time(circuit.since), words(&circuit.cause)));
        vec![
            printable(&way.route),
            queue(|queue| queue.messages),
            queue(|queue| queue.consumers),
            way.under_way.to_string(),
            way.held_sagas.to_string(),
            circuit.unwrap_or_else(|| "closed".to_owned()),
        ]
    };
    let head = ["DOMAIN", "QUEUE", "CONSUMERS", "UNDER WAY", "SAGAS HELD", "CIRCUIT"];
    Rows::new(&head, ways.map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_told_in_words() {
        assert_eq!([3, -250, 1_200].map(|ahead| clock(ahead, 5)), ["in step", "250 ms behind", "1200 ms ahead"]);
    }
}
