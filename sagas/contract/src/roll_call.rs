//! The question to all worker processes who they are, and the answer of each. It is asked when a person looks, so that processes
//! need not report by themselves.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    command::Route,
    ids::{InstanceId, RequestId},
};

/// The word in the broker's `type` property of a [`RollCall`].
pub const KIND_ROLL_CALL: &str = "sojourn.worker.roll_call";
/// The word in the broker's `type` property of a [`WorkerPresent`].
pub const KIND_WORKER_PRESENT: &str = "sojourn.orchestrator.worker_present";

/// The question to all worker processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollCall {
    /// The name of the question.
    pub request_id: RequestId,
    /// The routing key that answers go to.
    pub answer_to: String,
}

/// The answer of one worker process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerPresent {
    /// The question that is answered.
    pub request_id: RequestId,
    /// The name that the process gave itself at its start.
    pub instance: InstanceId,
    /// The version of its program.
    pub version: String,
    /// The time of its start.
    pub started_at: DateTime<Utc>,
    /// The domains whose commands it takes.
    #[serde(deserialize_with = "known_routes")]
    pub domains: Vec<Route>,
}

/// The domains that are known here: a later program may run more.
fn known_routes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Route>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    Ok(Route::ALL.into_iter().filter(|route| words.iter().any(|word| word == route.as_str())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_later_program_with_further_domains_is_counted_for_those_that_are_known() {
        let told: WorkerPresent = serde_json::from_value(json!({
            "request_id": "req_01900000000070008000000000000007",
            "instance": "ins_01900000000070008000000000000008",
            "version": "9.0.0", "started_at": "2027-01-01T00:00:00Z", "domains": ["cruises", "payment"], "host": "b",
        }))
        .unwrap();
        assert_eq!(told.domains, [Route::Payment]);
    }
}
