//! The changes that each record of a saga made, as lines that a person follows.

use std::collections::HashMap;

use crate::{
    output::exact_time,
    seen::{Record, words},
    tree,
};

/// The statuses of steps that are not told before anything has happened to them.
const QUIET: [&str; 2] = ["pending", "not_applicable"];

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
        if self.status.as_ref() != Some(&record.status) {
            lines.push(format!("{at}  saga: {}", words(&record.status)));
            self.status = Some(record.status.clone());
        }
        lines
    }
}
