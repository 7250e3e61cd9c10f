//! The plan of an operator's action: the commands that would be sent, in order, for one saga or many. It holds names of
//! steps and commands and no payload, so that it shows nothing of a person and no payment token; only an edit shows the fields
//! that it changes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ApprovalGround, SagaSummary};
use crate::{
    command::{Refusal, Route},
    ids::SagaId,
    limits::PAGE_SIZE_MAX,
    saga::{Action, FieldChange, SagaStatus},
    step::{Op, StepName},
};

/// The most sagas of one request for plans: each costs the replay of a journal, as a line of the largest page does.
pub const PLANS_MAX: usize = PAGE_SIZE_MAX as usize;

/// A request for the plans of one action on several sagas.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlansRequest {
    /// The action that is planned.
    #[serde(flatten)]
    pub action: Action,
    /// The sagas, 1 to [`PLANS_MAX`].
    pub saga_ids: Vec<SagaId>,
}

/// The answer to [`PlansRequest`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plans {
    /// A plan for each saga that can be read, in the order asked for.
    pub plans: Vec<PlanView>,
    /// The other sagas.
    pub unplanned: Vec<Unplanned>,
    /// The commands of all plans, counted by definition and step.
    pub summary: Vec<PlannedTotal>,
}

/// The consequences that an action would have, as the saga stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanView {
    /// The line of the listing.
    #[serde(flatten)]
    pub summary: SagaSummary,
    /// The journal's last number: the action with this `if_head` has exactly this plan, or is refused.
    pub head: u64,
    /// The reason why the action would be refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
    /// The ground for which the action waits for the approval of a second operator; absent for one that is carried out at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalGround>,
    /// The fields of a command that the action would change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
    /// The commands, in order.
    pub commands: Vec<PlannedCommand>,
    /// The status that the saga comes to when every command takes effect. A refusal or a fault on the way leads elsewhere.
    pub end: SagaStatus,
    /// The effects that stay although the saga is over and not completed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LeftEffect>,
}

/// One command of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCommand {
    /// Its place in the order: 0 needs no further reply; 1 follows the replies to the commands of round 0, and so on.
    pub round: u16,
    /// The time of its sending.
    pub when: PlannedWhen,
    /// The time of its next attempt, when it waits for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<DateTime<Utc>>,
    /// The name of the step.
    pub step: StepName,
    /// Forward or back.
    pub op: Op,
    /// The command's name.
    pub command: String,
    /// The domain that carries it out.
    pub route: Route,
    /// The command that can undo it; absent for what cannot be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<String>,
}

/// The time at which a planned command is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedWhen {
    /// With the action itself: certain.
    Now,
    /// It was sent before, and its reply is awaited.
    UnderWay,
    /// At its next attempt, which the action leaves alone.
    AtRetry,
    /// Once the commands that it needs have taken effect.
    AfterReplies,
    /// Likewise, unless what they answer shows that it is not needed.
    IfNeeded,
}

impl PlannedWhen {
    /// The words in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::UnderWay => "under way",
            Self::AtRetry => "at its retry",
            Self::AfterReplies => "after replies",
            Self::IfNeeded => "if needed",
        }
    }
}

/// An effect that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftEffect {
    /// The step that has it.
    pub step: StepName,
    /// True when it is not known whether the step took effect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// The child saga that the step started, which is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<SagaId>,
}

/// A saga for which there is no plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unplanned {
    /// The id that was asked for.
    pub saga_id: SagaId,
    /// The reason: there is no such saga, or it is left alone.
    #[serde(flatten)]
    pub refused: Refusal,
}

/// The planned commands of one step of one definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTotal {
    /// The definition's name.
    pub name: String,
    /// The definition's version.
    pub version: u32,
    /// The name of the step.
    pub step: StepName,
    /// Forward or back.
    pub op: Op,
    /// The command's name.
    pub command: String,
    /// The number of sagas for which it is sent with the action.
    pub now: u32,
    /// The number of sagas for which it follows, or is under way.
    pub later: u32,
}
