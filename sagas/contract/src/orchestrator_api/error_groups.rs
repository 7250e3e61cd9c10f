//! Groups of sagas that failed the same way.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::step::StepName;

/// The word in place of a step in the error of a saga that was given up as a whole.
pub const ERROR_OF_SAGA: &str = "saga";

/// Sagas of one definition that failed at one step with one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorGroup {
    /// The definition's name.
    pub name: String,
    /// The error as the filter of the listing takes it: step and code.
    pub error: String,
    /// The step that failed; absent when the saga as a whole was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// The stable code of the refusal or fault.
    pub code: String,
    /// The time at which the first saga of the group failed.
    pub first_at: DateTime<Utc>,
    /// The time at which the last saga of the group failed.
    pub last_at: DateTime<Utc>,
    /// Those of the last 30 days that wait for a person.
    pub needing_attention: u64,
    /// The number of them in the last 30 days.
    pub count: u64,
    /// True when there were more than are counted: the numbers are those of the newest ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub count_is_cut: bool,
    /// How many failed in each of the last 24 hours of the clock, in UTC; the last one is the present hour.
    pub hours: Vec<u64>,
    /// How many failed on each of the last 30 days, in UTC; the last one is today.
    pub days: Vec<u64>,
}
