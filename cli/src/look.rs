//! One look at an installation: who needs a person, what fails, how many sagas stand where, how the domains do.

use std::collections::BTreeMap;

use contract::{Page, orchestrator_api::ErrorGroup};
use serde::Serialize;

use crate::{
    client::Client,
    failure::Failure,
    output::{printable, time},
    rows::Rows,
    seen::{Counts, Processes, Summary, Told, words},
};

/// The lines of each listing: what fits on a screen beside the others.
const LINES: &str = "20";

/// The statuses in the order in which a person wants to see them.
const STATUSES: [&str; 6] = ["needs_attention", "compensating", "running", "completed", "compensated", "abandoned"];

/// The documents that one look has read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Look {
    pub(crate) counts: Told<Counts>,
    pub(crate) needs_attention: Vec<Told<Summary>>,
    pub(crate) errors: Vec<Told<ErrorGroup>>,
    pub(crate) processes: Told<Processes>,
}

impl Look {
    pub(crate) async fn take(client: &Client) -> Result<Self, Failure> {
        let lines = || ("page_size", LINES.to_owned());
        let attention = [("status", STATUSES[0].to_owned()), lines()];
        let groups = [lines()];
        let (counts, attention, errors, processes) = futures::try_join!(
            client.get::<Told<Counts>>("/counts", &[]),
            client.get::<Page<Told<Summary>>>("/sagas", &attention),
            client.get::<Page<Told<ErrorGroup>>>("/errors", &groups),
            client.get::<Told<Processes>>("/processes", &[]),
        )?;
        Ok(Self { counts, needs_attention: attention.items, errors: errors.items, processes })
    }

    /// How many there are, in one line; where there is room for it, the oldest open one too.
    pub(crate) fn summary(&self, columns_max: usize) -> String {
        let Counts { sagas, quarantined, oldest_open, .. } = &*self.counts;
        let Processes { orchestrators, silent_shards, .. } = &*self.processes;
        let mut text = format!("{sagas} sagas, {quarantined} in quarantine; orchestrators: {}", orchestrators.len());
        if !silent_shards.is_empty() {
            text.push_str(&format!(", silent shards: {}", silent_shards.len()));
        }
        if let Some(oldest) = oldest_open {
            let whole = format!("{text}; the oldest open one began {}", time(oldest.created_at));
            text =
                if whole.len() <= columns_max { whole } else { format!("{text}; oldest {}", time(oldest.created_at)) };
        }
        text
    }

    /// A row for each version of a definition, a column for each status that there is.
    pub(crate) fn counts(&self) -> Rows {
        let groups = &self.counts.groups;
        let mut statuses: Vec<&str> = STATUSES.to_vec();
        for group in groups {
            if !statuses.contains(&group.status.as_str()) {
                statuses.push(&group.status);
            }
        }
        statuses.retain(|status| groups.iter().any(|group| group.status == *status));
        let mut flows: BTreeMap<(&str, u32), Vec<u64>> = BTreeMap::new();
        for group in groups {
            let counts = flows.entry((&group.name, group.version)).or_insert_with(|| vec![0; statuses.len()]);
            let column = statuses.iter().position(|status| *status == group.status);
            if let Some(count) = column.and_then(|column| counts.get_mut(column)) {
                *count += group.sagas;
            }
        }
        let head = ["DEFINITION".to_owned()].into_iter().chain(statuses.iter().map(|word| words(word).to_uppercase()));
        let row = |((name, version), counts): (&(&str, u32), &Vec<u64>)| {
            let name = printable(&format!("{name} v{version}"));
            [name].into_iter().chain(counts.iter().map(u64::to_string)).collect()
        };
        Rows { head: head.collect(), rows: flows.iter().map(row).collect() }
    }

    pub(crate) fn needs_attention(&self) -> Rows {
        let row = |saga: &Told<Summary>| {
            let error = saga.error.as_deref().unwrap_or("-");
            let name = format!("{} v{}", saga.name, saga.version);
            vec![printable(&saga.id), printable(&name), printable(error), time(saga.updated_at)]
        };
        Rows::new(&["ID", "NAME", "ERROR", "SINCE"], self.needs_attention.iter().map(row))
    }

    pub(crate) fn errors(&self) -> Rows {
        let row = |group: &Told<ErrorGroup>| {
            let more = if group.count_is_cut { "+" } else { "" };
            vec![
                printable(&group.name),
                printable(&group.error),
                group.needing_attention.to_string(),
                group.hours.iter().sum::<u64>().to_string(),
                format!("{}{more}", group.count),
                time(group.last_at),
            ]
        };
        Rows::new(&["NAME", "ERROR", "WAITING", "24 HOURS", "30 DAYS", "LAST"], self.errors.iter().map(row))
    }
}
