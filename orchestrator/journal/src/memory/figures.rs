//! The figures, from the tables in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::{
    orchestrator_api::{Durations, SagaCounts, SagaHold},
    saga::SagaStatus,
};

use super::MemoryJournal;
use crate::{
    figures::{Counted, Ended, EndedAsked, Figures, Owners, age_bounds, put_together},
    port::{Filter, JournalError, Place, SagaRow},
};

#[async_trait]
impl Figures for MemoryJournal {
    async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> Result<SagaCounts, JournalError> {
        let tables = self.storage.tables();
        let bounds = age_bounds(now);
        let counted = |(_, row): (Place, &SagaRow)| Counted {
            name: row.name.clone(),
            version: row.version,
            status: row.status,
            age: bounds.iter().filter(|bound| row.created_at < **bound).count(),
            sagas: 1,
            first: Some((row.created_at, row.id)),
        };
        let quarantined =
            tables.matching(filter).filter(|(place, _)| tables.quarantine.contains_key(&place.id)).count();
        let counts = put_together(tables.matching(filter).map(counted).collect(), quarantined as u64);
        let open = tables.matching(filter).filter(|(_, row)| !row.status.is_final());
        let holds = open.filter_map(|(place, _)| Some((place.holds_until?, place.id)));
        let earliest_hold = holds.min().map(|(holds_until, id)| SagaHold { id, holds_until });
        Ok(SagaCounts { earliest_hold, ..counts })
    }

    async fn ended(&self, asked: &EndedAsked) -> Result<Vec<Ended>, JournalError> {
        let tables = self.storage.tables();
        let rows = tables.sagas.values().map(|stored| &stored.row);
        let ended = rows.filter_map(|row| Some((row.finished_at?, row)));
        let mut ended: Vec<_> = ended.filter(|(at, _)| *at >= asked.from && *at < asked.to()).collect();
        ended.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        ended.truncate(asked.limit as usize);
        let mut intervals: BTreeMap<u32, Vec<(SagaStatus, i64)>> = BTreeMap::new();
        for (at, row) in ended {
            let interval = (at - asked.from).num_seconds() / i64::from(asked.interval_seconds.max(1));
            let lasted = (at - row.created_at).num_milliseconds();
            intervals.entry(u32::try_from(interval).unwrap_or(u32::MAX)).or_default().push((row.status, lasted));
        }
        Ok(intervals.into_iter().map(|(interval, ended)| told(interval, ended)).collect())
    }

    async fn owners(&self) -> Result<Owners, JournalError> {
        Ok(Owners::default())
    }
}

fn told(interval: u32, mut ended: Vec<(SagaStatus, i64)>) -> Ended {
    ended.sort_by_key(|(_, lasted)| *lasted);
    let count = |wanted: SagaStatus| ended.iter().filter(|(status, _)| *status == wanted).count() as u64;
    // The first one that so many in a hundred do not exceed.
    let longest_of = |percent: usize| {
        let place = (ended.len() * percent).div_ceil(100).saturating_sub(1);
        ended.get(place).map_or(0, |(_, lasted)| u64::try_from(*lasted).unwrap_or_default())
    };
    Ended {
        interval,
        completed: count(SagaStatus::Completed),
        compensated: count(SagaStatus::Compensated),
        abandoned: count(SagaStatus::Abandoned),
        durations: Durations { p50_ms: longest_of(50), p95_ms: longest_of(95), p99_ms: longest_of(99) },
    }
}
