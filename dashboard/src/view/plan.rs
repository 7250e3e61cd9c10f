//! The plan of an act: exactly what would be sent, in order, and what cannot be undone.

use super::{
    approvals,
    changes::{self, Change},
    marks::{self, Mark},
};
use contract::{
    orchestrator_api::{PlanView, PlannedWhen},
    step::Op,
};

/// A command that the act leads to.
pub(crate) struct Line {
    pub(crate) when: &'static str,
    pub(crate) step: String,
    pub(crate) command: String,
    pub(crate) domain: &'static str,
    pub(crate) undoes: bool,
    /// True for what cannot be undone.
    pub(crate) lasting: bool,
}

/// The plan as the page shows it.
pub(crate) struct Plan {
    pub(crate) head: u64,
    pub(crate) refused: Option<String>,
    /// The ground for which a second operator must approve.
    pub(crate) approval: Option<&'static str>,
    pub(crate) changes: Vec<Change>,
    pub(crate) lines: Vec<Line>,
    pub(crate) end: Mark,
    pub(crate) left: Vec<String>,
}

pub(crate) fn plan(view: &PlanView) -> Plan {
    let line = |command: &contract::orchestrator_api::PlannedCommand| Line {
        when: when(command.when),
        step: command.step.to_string(),
        command: command.command.clone(),
        domain: command.route.as_str(),
        undoes: command.op == Op::Compensation,
        lasting: command.op == Op::Action && command.undone_by.is_none(),
    };
    let left = view.left.iter().map(|effect| {
        let doubt = if effect.in_doubt { ", if it took effect" } else { "" };
        format!("{}{doubt}", effect.step)
    });
    Plan {
        head: view.head,
        refused: view.refused.as_ref().map(|refused| format!("{} ({})", refused.message, refused.code)),
        approval: view.approval.map(approvals::ground),
        changes: changes::changes(&view.changes),
        lines: view.commands.iter().map(line).collect(),
        end: marks::of_saga(view.end),
        left: left.collect(),
    }
}

const fn when(when: PlannedWhen) -> &'static str {
    match when {
        PlannedWhen::Now => "now",
        PlannedWhen::UnderWay => "under way already",
        PlannedWhen::AtRetry => "at its retry",
        PlannedWhen::AfterReplies => "after the replies",
        PlannedWhen::IfNeeded => "if needed",
    }
}
