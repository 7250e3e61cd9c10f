//! The commands of a lane that have not reached their domain, as admission and metrics see them.

use std::sync::Arc;

use contract::Route;

use super::{flow::Flow, timers::Now};
use crate::{names, starts::admission::Admission};

/// The numbers that were told last.
#[derive(Debug)]
pub(super) struct Standing {
    shard: String,
    admission: Arc<Admission>,
    unpublished: usize,
    sagas: usize,
    under_way: usize,
    open: [bool; Route::ALL.len()],
}

impl Standing {
    pub(super) fn new(shard: u16, admission: Arc<Admission>) -> Self {
        Self {
            shard: shard.to_string(),
            admission,
            unpublished: 0,
            sagas: 0,
            under_way: 0,
            open: [false; Route::ALL.len()],
        }
    }

    /// Tells what has changed.
    pub(super) fn report(&mut self, flow: &Flow, now: Now) {
        self.count_unpublished(flow.commands_unpublished());
        self.count_sagas(flow.sagas_held());
        self.count_under_way(flow.commands_under_way());
        for (known, (route, open_since)) in self.open.iter_mut().zip(flow.circuits()) {
            if *known == open_since.is_some() {
                continue;
            }
            *known = open_since.is_some();
            let since = open_since.map(|since| now.wall_at(since));
            match since {
                Some(since) => {
                    tracing::warn!(shard = self.shard, route = route.as_str(), %since, "commands stand: no answers");
                }
                None => tracing::info!(shard = self.shard, route = route.as_str(), "commands go out again"),
            }
            show_circuit(&self.shard, route, since.map_or(0.0, names::unix_seconds));
        }
    }

    fn count_unpublished(&mut self, unpublished: usize) {
        let before = std::mem::replace(&mut self.unpublished, unpublished);
        let change = unpublished.cast_signed() - before.cast_signed();
        if change != 0 {
            self.admission.count_unpublished(change);
            change_gauge(&metrics::gauge!(names::UNPUBLISHED), change);
        }
    }

    fn count_sagas(&mut self, sagas: usize) {
        let before = std::mem::replace(&mut self.sagas, sagas);
        change_gauge(&metrics::gauge!(names::STANDING), sagas.cast_signed() - before.cast_signed());
    }

    fn count_under_way(&mut self, under_way: usize) {
        let before = std::mem::replace(&mut self.under_way, under_way);
        change_gauge(&metrics::gauge!(names::UNDER_WAY), under_way.cast_signed() - before.cast_signed());
    }
}

impl Drop for Standing {
    /// The lane ends: the next owner of the shard has them.
    fn drop(&mut self) {
        self.count_unpublished(0);
        self.count_sagas(0);
        self.count_under_way(0);
        for (_, route) in self.open.into_iter().zip(Route::ALL).filter(|(open, _)| *open) {
            show_circuit(&self.shard, route, 0.0);
        }
    }
}

fn change_gauge(gauge: &metrics::Gauge, change: isize) {
    let amount = f64::from(u32::try_from(change.unsigned_abs()).unwrap_or(u32::MAX));
    if change >= 0 { gauge.increment(amount) } else { gauge.decrement(amount) }
}

fn show_circuit(shard: &str, route: Route, since: f64) {
    metrics::gauge!(names::CIRCUIT_OPEN_SINCE, "shard" => shard.to_owned(), "route" => route.as_str()).set(since);
}
