//! The changes that each record of a saga made, as lines that a person follows.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    output::exact_time,
    seen::{Record, words},
    tree,
};

/// The statuses of steps that are not told before anything has happened to them.
const QUIET: [&str; 2] = ["pending", "not_applicable"];

/// The pause of a saga, which begins or ends beside its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PauseChange {
    Began,
    Ended,
}

impl PauseChange {
    const fn word(self) -> &'static str {
        match self {
            Self::Began => "paused",
            Self::Ended => "resumed",
        }
    }
}

/// The change of a saga's pause that a record tells of, if any: the last one.
pub(crate) fn pause_of(record: &Record) -> Option<PauseChange> {
    let of_entry = |entry: &Value| match entry["entry"].as_str() {
        Some("saga_paused") => Some(PauseChange::Began),
        Some("saga_resumed") => Some(PauseChange::Ended),
        _ => None,
    };
    record.entries.iter().rev().find_map(of_entry)
}

/// The statuses that were told already.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    status: Option<String>,
    steps: HashMap<String, (String, u32)>,
}

impl Changes {
    /// The lines of one record.
    pub(crate) fn told(&mut self, record: &Record) -> Vec<String> {
        let at = exact_time(record.at);
        let mut lines = Vec::new();
        for step in &record.steps {
            let now = (step.status.clone(), step.attempts);
            let before = self.steps.insert(step.name.clone(), now.clone());
            let quiet = before.is_none() && QUIET.contains(&step.status.as_str());
            if before != Some(now) && !quiet {
                lines.push(format!("{at}  {}", tree::step_line(step)));
            }
        }
        lines.extend(pause_of(record).map(|pause| format!("{at}  saga: {}", pause.word())));
        if self.status.as_ref() != Some(&record.status) {
            lines.push(format!("{at}  saga: {}", words(&record.status)));
            self.status = Some(record.status.clone());
        }
        lines
    }
}
