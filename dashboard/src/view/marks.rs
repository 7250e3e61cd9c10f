//! Statuses as a color, a shape and a word: never one of them alone.

use askama::Template;
use contract::{
    orchestrator_api::{ApprovalState, JobState, SagaSummary, StepView},
    saga::{SagaStatus, StepKind, StepStatus},
};

/// The mark of a status. The class brings the color, the icon the shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = r##"<span class="mark {{ class }}"><svg class="icon" aria-hidden="true"><use href="#i-{{ icon }}"></use></svg>{{ word }}</span>"##
)]
pub(crate) struct Mark {
    pub(crate) class: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) word: &'static str,
}

const fn mark(class: &'static str, icon: &'static str, word: &'static str) -> Mark {
    Mark { class, icon, word }
}

/// The mark of a saga in a listing.
pub(crate) const fn of_summary(saga: &SagaSummary) -> Mark {
    if saga.paused { mark("paused", "paused", "paused") } else { of_saga(saga.status) }
}

pub(crate) const fn of_saga(status: SagaStatus) -> Mark {
    match status {
        SagaStatus::Running => mark("running", "running", "running"),
        SagaStatus::Compensating => mark("compensating", "compensating", "compensating"),
        SagaStatus::Completed => mark("completed", "completed", "completed"),
        SagaStatus::Compensated => mark("compensated", "compensated", "compensated"),
        SagaStatus::NeedsAttention => mark("attention", "attention", "needs attention"),
        SagaStatus::Abandoned => mark("abandoned", "abandoned", "abandoned"),
    }
}

/// The mark of a step. One that was not needed is told apart from one that is still to come.
pub(crate) const fn of_step(step: &StepView) -> Mark {
    match step.status {
        StepStatus::Pending => mark("pending", "pending", "not reached"),
        StepStatus::NotApplicable => mark("pending", "skipped", "not needed"),
        StepStatus::Dispatched => mark("running", "running", "under way"),
        StepStatus::Retrying => mark("waiting", "waiting", "waits to retry"),
        StepStatus::Waiting => mark("waiting", "waiting", "waits"),
        StepStatus::Done => mark("completed", "completed", "done"),
        StepStatus::Refused => mark("abandoned", "abandoned", "refused"),
        StepStatus::NeedsAttention => mark("attention", "attention", "needs attention"),
        StepStatus::Compensating => mark("compensating", "compensating", "being undone"),
        StepStatus::Compensated => mark("compensated", "compensated", "undone"),
    }
}

pub(crate) const fn of_job(state: JobState) -> Mark {
    match state {
        JobState::Running => mark("running", "running", "running"),
        JobState::Waiting => mark("waiting", "waiting", "waits for you"),
        JobState::Paused => mark("paused", "paused", "paused"),
        JobState::Finished => mark("completed", "completed", "finished"),
        JobState::Aborted => mark("abandoned", "abandoned", "aborted"),
    }
}

pub(crate) const fn of_approval(state: ApprovalState) -> Mark {
    match state {
        ApprovalState::Pending => mark("waiting", "waiting", "waits"),
        ApprovalState::Approved => mark("completed", "completed", "approved"),
        ApprovalState::Rejected => mark("abandoned", "abandoned", "rejected"),
        ApprovalState::Expired => mark("pending", "pending", "void"),
    }
}

/// The kind of a step, with the plain words beside the field's.
pub(crate) const fn kind(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Compensatable => "can be undone",
        StepKind::Pivot => "pivot, the point of no return",
        StepKind::Retriable => "must succeed in the end",
    }
}
