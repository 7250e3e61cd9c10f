//! The orchestrator's HTTP interface, as the gateway and `sagactl` speak it.
//!
//! | call | answer |
//! |---|---|
//! | `POST /api/sagas` [`StartSaga`] | 201 / 200 [`SagaStarted`]; 404 unknown definition; 422; 503 + Retry-After. With `Prefer: wait=N` (RFC 7240) it answers at the saga's end, with its `status` |
//! | `GET /api/starts?name&key` | the saga that a start with this key made, and the fingerprint of its request; 404 |
//! | `GET /api/definitions` | [`Definitions`]: name, version, fingerprint, steps, the linter's findings |
//! | `GET /api/sagas?status&name&version&business_key&owner&error&step&paused&parent&ids&attributes&q&created_after&created_before&finished_after&finished_before&holds_before&sort&before&after&page_size&page_token` | [`Page`](crate::Page) of [`SagaSummary`], in the order `sort` ([`SagaOrder`]) |
//! | `GET /api/counts` with the filters of `GET /api/sagas` | [`SagaCounts`]: how many there are, by definition and status; exact |
//! | `GET /api/throughput?minutes&step_minutes` | [`Throughput`]: the sagas that ended, and how long they took; 60 minutes, one by one, unless asked otherwise |
//! | `GET /api/processes` | [`Processes`]: orchestrators, lanes, the ways to the workers |
//! | `GET /api/errors?name&page_size&page_token` | [`Page`](crate::Page) of [`ErrorGroup`], by definition and error |
//! | `GET /api/sagas/{id}` | [`SagaView`] |
//! | `GET /api/sagas/{id}/snapshot?records&before&entry&page_size` | [`SagaSnapshot`]: the saga, its explanation and its timeline at one moment; with `records=true` the last records too |
//! | `GET /api/sagas/{id}/timeline` | [`Timeline`]: the time that each step spent under way and waiting |
//! | `GET /api/sagas/{id}/steps/{step}/command` | [`CommandView`]: the command that the step sends next; 404; 409 when it cannot be built |
//! | `GET /api/sagas/{id}/explanation` | [`Explanation`]: why the saga is not moving |
//! | `GET /api/sagas/{id}/journal?order&before&entry&page_size&page_token` | [`Page`](crate::Page) of [`RecordView`], from the first on, or with `order=newest` from the last back |
//! | `GET /api/sagas/{id}/difference?from&to` | [`JournalDifference`]: what the records after `from` up to `to` changed; 404 for a record that there is not |
//! | `GET /api/sagas/{id}/events?owner` | server-sent events: `id: <seq>`, `event: record`, [`RecordView`]; then `event: end` |
//! | `POST /api/sagas/{id}/actions` [`ActionRequest`] | 200 [`SagaView`]; 202 [`Approval`] for one that a second operator must approve; 404; 409; 422 |
//! | `POST /api/sagas/{id}/reveal` with a `reason` | 200 [`SagaView`] with its personal fields; 404 |
//! | `POST /api/sagas/{id}/plan` [`Action`](crate::saga::Action) | 200 [`PlanView`]: what the action would lead to, without doing it; 404; 409 |
//! | `POST /api/plans` [`PlansRequest`] | 200 [`Plans`], for several sagas; 422 |
//! | `GET /api/migrations?name&to&page_size&page_token` | [`Page`](crate::Page) of [`MigrationView`]: the running sagas of other versions, newest first; 404 unknown definition |
//! | `POST /api/jobs/preview` [`JobPreviewRequest`] | 200 [`JobPreview`]: the sagas that a job would have; 422 |
//! | `POST /api/jobs` [`JobRequest`], `POST /api/jobs/{id}/rerun` [`JobRerun`] | 201 [`Job`]; 202 [`Approval`] as above; 404; 409; 422 |
//! | `GET /api/jobs?page_size&page_token`, `GET /api/jobs/{id}` | [`Page`](crate::Page) of [`Job`], newest first; [`JobView`] |
//! | `GET /api/jobs/{id}/items?outcome&page_size&page_token` | [`Page`](crate::Page) of [`JobItem`], in their order |
//! | `POST /api/jobs/{id}/pause`, `/resume`, `/abort` with a `reason` | 200 [`Job`]; 404; 409 |
//! | `GET /api/pauses`, `POST /api/pauses` [`PauseRequest`], `POST /api/pauses/{scope}/end` with a `reason` | [`Page`](crate::Page) of [`PauseView`]; 201 or 200 [`Pause`]; 200 [`Pause`], 404 |
//! | `POST /api/sagas/{id}/signals/{name}` [`SignalRequest`] | 200 [`SignalEffect`]; 404; 409; 422 |
//! | `GET /api/quarantine`, `POST /api/quarantine/{id}/release` | [`Page`](crate::Page) of [`QuarantinedSaga`]; 200 [`SagaView`], 409 when the saga still cannot go on |
//! | `GET /api/dead-letters`, `POST /api/dead-letters/{id}/redrive` | what could not be handled |
//! | `GET /api/approvals?waiting&target&page_size&page_token` | [`Page`](crate::Page) of [`Approval`], newest first |
//! | `POST /api/approvals/{id}/approve`, `/reject` with a `reason` | 200 [`Approval`]; 404; 409, also when the approved act is refused |
//! | `GET /api/audit?actor&target&act&page_size&page_token` | [`Page`](crate::Page) of [`AuditRecord`], newest first |
//! | `GET /api/sagas/{id}/export` | the saga as a line of an export; 404 |
//! | `GET /api/exports` | [`Page`](crate::Page) of [`RetiredWeek`], newest first |
//! | `POST /internal/audit` with [`AuditRequest`] | [`AuditRecord`]; for the gateway only |
//! | `GET /api/audit/verification?after` | [`AuditVerification`] |
//!
//! Every call carries the internal token; operators' calls also `x-sojourn-actor` and `x-sojourn-role`.

mod actions;
mod approvals;
mod audit;
mod audit_chain;
mod commands;
mod counts;
mod dead_letters;
mod definitions;
mod error_groups;
mod explanation;
mod jobs;
mod journal;
mod migrations;
mod pauses;
mod plans;
mod processes;
mod quarantine;
mod queries;
mod retention;
mod sagas;
mod signals;
mod snapshots;
mod starts;
mod stretches;
mod throughput;
mod timeline;

pub use actions::{ActionRequest, HEADER_ACTOR, HEADER_ROLE, REASON_BYTES_MAX};
pub use approvals::{
    APPROVAL_EXPIRES_AFTER, APPROVALS_OPEN_MAX, Approval, ApprovalDecision, ApprovalGround, ApprovalState,
    ApprovedRequest, JOB_ALONE_SAGAS_MAX,
};
pub use audit::{
    AUDIT_ASKED, AUDIT_HASH_NONE, AuditBreak, AuditFact, AuditHead, AuditRecord, AuditRequest, AuditVerification,
};
pub use audit_chain::{find_break, next_row};
pub use commands::CommandView;
pub use counts::{AGES_SECONDS, AgeGroup, SagaCounts, SagaGroup, SagaHold, SagaSince};
pub use dead_letters::DeadLetterView;
pub use definitions::{DefinitionFinding, DefinitionView, Definitions, FieldKind, FieldShape, StepShape};
pub use error_groups::{ERROR_OF_SAGA, ErrorGroup};
pub use explanation::{
    CircuitCause, CommandPlace, DomainState, Explanation, FlowState, LaneState, OpenCircuit, OpenStep, PossibleAct,
    QueueState, StandstillReason,
};
pub use jobs::{
    AfterCanary, Canary, JOB_PACE_DEFAULT, JOB_PACE_MAX, JOB_SAGAS_MAX, Job, JobGroup, JobItem, JobOutcome, JobPreview,
    JobPreviewRequest, JobRefusals, JobRequest, JobRerun, JobState, JobView, SAGA_IDS_MAX, SagaFilter,
};
pub use journal::{JournalDifference, RecordView};
pub use migrations::MigrationView;
pub use pauses::{PAUSES_MAX, Pause, PauseRequest, PauseScope, PauseScopeError, PauseView};
pub use plans::{
    LeftEffect, PLANS_MAX, PlanView, PlannedCommand, PlannedTotal, PlannedWhen, Plans, PlansRequest, Unplanned,
};
pub use processes::{DomainWay, LaneView, OrchestratorView, Processes, SilentShard, WorkerView};
pub use quarantine::QuarantinedSaga;
pub use queries::{QUERY_BYTES_MAX, SagaOrder, SagaQuery, SagaQueryError};
pub use retention::{RetiredState, RetiredWeek};
pub use sagas::{SagaPause, SagaSummary, SagaTree, SagaView, SignalView, StepView, StepWork};
pub use signals::{SignalEffect, SignalRequest};
pub use snapshots::SagaSnapshot;
pub use starts::{SagaStarted, StartKey, StartSaga};
pub use stretches::{Stretch, stretches};
pub use throughput::{Durations, THROUGHPUT_MINUTES_MAX, THROUGHPUT_SAGAS_MAX, Throughput, ThroughputPoint};
pub use timeline::{SPANS_MAX, SpanEnd, Spent, Timeline, TimelineSpan};
