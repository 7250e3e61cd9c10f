//! The persistent names of metrics and readiness. Dashboards and alarms know them.

use chrono::{DateTime, Utc};

/// Sagas whose start was committed, by definition.
pub(crate) const STARTED: &str = "sojourn_orchestrator_sagas_started_total";
/// Sagas that reached a final status, by definition and status.
pub(crate) const FINISHED: &str = "sojourn_orchestrator_sagas_finished_total";
/// Sagas of this process's shards in each status that is not final.
pub(crate) const OPEN: &str = "sojourn_orchestrator_sagas_open";
/// Sagas that this process leaves alone, by reason.
pub(crate) const PARKED: &str = "sojourn_orchestrator_sagas_parked_total";
/// Appends in one commit.
pub(crate) const COMMIT_SIZE: &str = "sojourn_orchestrator_commit_size";
/// The duration of a commit.
pub(crate) const COMMIT_SECONDS: &str = "sojourn_orchestrator_commit_seconds";
/// The duration of a turn's decisions.
pub(crate) const DECIDE_SECONDS: &str = "sojourn_orchestrator_decide_seconds";
/// From a commit to the broker's confirm of its commands.
pub(crate) const PUBLISH_SECONDS: &str = "sojourn_orchestrator_publish_seconds";
/// Commands that are committed and that are not with the broker.
pub(crate) const UNPUBLISHED: &str = "sojourn_orchestrator_commands_unpublished";
/// Commands that were sent and not answered.
pub(crate) const UNDER_WAY: &str = "sojourn_orchestrator_commands_under_way";
/// Commands that the broker did not take, by reason.
pub(crate) const PUBLISH_FAILED: &str = "sojourn_orchestrator_publish_failures_total";
/// Inputs that a lane took, by kind and verdict.
pub(crate) const INPUTS: &str = "sojourn_orchestrator_inputs_total";
/// Timers that lanes hold.
pub(crate) const TIMERS: &str = "sojourn_orchestrator_timers";
/// Shards that this process owns.
pub(crate) const SHARDS_OWNED: &str = "sojourn_orchestrator_shards_owned";
/// Silent owners of shards that this process evicted.
pub(crate) const OWNERS_EVICTED: &str = "sojourn_orchestrator_owners_evicted_total";
/// Lanes that ended because something broke, by reason.
pub(crate) const LANES_LOST: &str = "sojourn_orchestrator_lanes_lost_total";
/// Starts that were not admitted, by reason.
pub(crate) const NOT_ADMITTED: &str = "sojourn_orchestrator_starts_not_admitted_total";
/// Dead letters that were kept.
pub(crate) const DEAD_LETTERS: &str = "sojourn_orchestrator_dead_letters_total";
/// Appends that another writer was faster with.
pub(crate) const SEQ_TAKEN: &str = "sojourn_orchestrator_appends_taken_total";

/// Since when the circuit of a domain is open, by shard and domain, in seconds since 1970; 0 while it is closed.
pub(crate) const CIRCUIT_OPEN_SINCE: &str = "sojourn_orchestrator_circuit_open_since_seconds";
/// Sagas whose commands wait until a domain, or the broker, takes them.
pub(crate) const STANDING: &str = "sojourn_orchestrator_sagas_standing";
/// Pauses of domains, definitions and steps that are in force, as this process knows them.
pub(crate) const PAUSES: &str = "sojourn_orchestrator_pauses";
/// Sagas that are paused, by shard.
pub(crate) const PAUSED: &str = "sojourn_orchestrator_sagas_paused";
/// Sagas with a step that must succeed in the end and is being retried.
pub(crate) const RETRYING: &str = "sojourn_orchestrator_sagas_retrying";
/// Since when the first of them is, in seconds since 1970; 0 when there is none.
pub(crate) const RETRYING_SINCE: &str = "sojourn_orchestrator_retrying_since_seconds";
/// Open sagas that had no reason to move, and were taken up again.
pub(crate) const ORPHANS: &str = "sojourn_orchestrator_orphans_total";
/// Steps of this machine's wall clock, by direction.
pub(crate) const CLOCK_STEPS: &str = "sojourn_orchestrator_clock_steps_total";
/// Commands that a worker found expired while they had time left by this clock, by domain.
pub(crate) const CLOCK_SKEW: &str = "sojourn_orchestrator_clock_skew_total";

/// Results of single sagas in bulk jobs, by outcome.
pub(crate) const JOB_RESULTS: &str = "sojourn_orchestrator_job_results_total";

/// Acts that a second operator was asked to approve, by ground.
pub(crate) const APPROVALS: &str = "sojourn_orchestrator_approvals_total";

/// Weeks of history that this process exported and dropped.
pub(crate) const WEEKS_RETIRED: &str = "sojourn_orchestrator_weeks_retired_total";
/// Attempts at that which failed.
pub(crate) const RETIRING_FAILED: &str = "sojourn_orchestrator_retiring_failures_total";

/// The number of the audit log's last row that this process wrote.
pub(crate) const AUDIT_HEAD: &str = "sojourn_orchestrator_audit_head";

/// The need for a journal that answers.
pub(crate) const NEED_JOURNAL: &str = "journal";
/// The need for a connection to the broker.
pub(crate) const NEED_BROKER: &str = "broker";
/// The need for at least one shard.
pub(crate) const NEED_SHARDS: &str = "shards";
/// The need not to be on the way out.
pub(crate) const NEED_SERVING: &str = "serving";

/// A time as metrics tell it.
pub(crate) fn unix_seconds(at: DateTime<Utc>) -> f64 {
    // Exact for whole seconds for millions of years.
    f64::from(u32::try_from(at.timestamp()).unwrap_or(u32::MAX))
}
