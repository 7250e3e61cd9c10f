//! The time that a saga spent, step by step: what was under way, what waited, and for what.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::step::{Op, StepName};

/// The most spans of one timeline: a page draws so many in some milliseconds. A saga that has more tried for days.
pub const SPANS_MAX: usize = 1_000;

/// The timeline of a saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The time of the saga's start.
    pub began_at: DateTime<Utc>,
    /// The time of its end, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// The spans, in the order of their beginnings; the last [`SPANS_MAX`] of a longer timeline.
    pub spans: Vec<TimelineSpan>,
}

/// A time that one step spent in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineSpan {
    /// The name of the step.
    pub step: StepName,
    /// The direction, forward or back.
    pub op: Op,
    /// The way in which the time was spent.
    pub spent: Spent,
    /// The number of the attempt that was under way, or that is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u16>,
    /// The time of its beginning.
    pub from: DateTime<Utc>,
    /// The time of its end; absent while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// The end that it came to; absent while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<SpanEnd>,
}

/// The ways in which a step spends its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spent {
    /// A command is under way.
    UnderWay,
    /// A child saga runs, or is undone.
    Child,
    /// The next attempt waits for its time.
    Retry,
    /// The step waits for a signal.
    Signal,
    /// The step waits for a time.
    Time,
    /// The step waits for a person.
    Person,
}

/// The ends that a span comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanEnd {
    /// The step took effect, or its wait was over.
    Done,
    /// The step was refused, or its signal missed.
    Refused,
    /// The attempt failed.
    Failed,
    /// The step went on in another way.
    Left,
}
