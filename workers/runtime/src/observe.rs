//! The metrics and logs of a worker: one place for their names and words. A payload is never in them.

use std::time::Duration;

use crate::{
    events::received::{Intake, ReceivedEvent},
    received::ReceivedCommand,
    transaction::{Ending, Reply},
};

const COMMANDS_TOTAL: &str = "sojourn_worker_commands_total";
const BATCH_COMMANDS: &str = "sojourn_worker_batch_commands";
const BATCH_SECONDS: &str = "sojourn_worker_batch_seconds";
const HALVED_TOTAL: &str = "sojourn_worker_halved_batches_total";
const GIVEN_BACK_TOTAL: &str = "sojourn_worker_given_back_commands_total";
const DEAD_LETTERS_TOTAL: &str = "sojourn_worker_dead_letters_total";
const UNANSWERED_TOTAL: &str = "sojourn_worker_unanswered_commands_total";
const UNROUTABLE_REPLIES_TOTAL: &str = "sojourn_worker_unroutable_replies_total";
const REPLIES_GIVEN_UP_TOTAL: &str = "sojourn_worker_replies_given_up_total";
const OUTSIDE_SECONDS: &str = "sojourn_worker_outside_call_seconds";
const OUTSIDE_CALLS: &str = "sojourn_worker_outside_calls";
const TAKEN_EVENTS_TOTAL: &str = "sojourn_worker_taken_events_total";
const EVENTS_TOTAL: &str = "sojourn_worker_published_events_total";
const PRUNED_TOTAL: &str = "sojourn_worker_pruned_rows_total";

/// A command is about to be answered.
pub(crate) fn ended(domain: &'static str, received: &ReceivedCommand, reply: &Reply) {
    let command = received.registered.name;
    let saga_id = received.envelope.saga_id();
    let command_id = &received.envelope.command_id;
    let attempt = received.envelope.attempt;
    let outcome = match &reply.ending {
        Ending::Done => {
            tracing::debug!(%saga_id, %command_id, command, attempt, "done");
            "done"
        }
        Ending::Refused { code } => {
            tracing::info!(%saga_id, %command_id, command, attempt, code, "refused");
            "refused"
        }
        Ending::Null => {
            tracing::debug!(%saga_id, %command_id, command, attempt, "nothing to undo");
            "null"
        }
        Ending::Again => {
            tracing::debug!(%saga_id, %command_id, command, attempt, "answered again");
            "again"
        }
        Ending::Faulted { code, text } => {
            tracing::warn!(%saga_id, %command_id, command, attempt, code, text, "faulted");
            "faulted"
        }
    };
    metrics::counter!(COMMANDS_TOTAL, "domain" => domain, "command" => command, "outcome" => outcome).increment(1);
}

/// A batch has committed.
pub(crate) fn batch(domain: &'static str, commands: usize, took: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "a batch has a few hundred commands at most")]
    metrics::histogram!(BATCH_COMMANDS, "domain" => domain).record(commands as f64);
    metrics::histogram!(BATCH_SECONDS, "domain" => domain).record(took);
}

/// A batch did not get along, and each half of it is tried.
pub(crate) fn halved(domain: &'static str, members: usize, why: &str) {
    tracing::debug!(domain, members, why, "a batch is taken apart");
    metrics::counter!(HALVED_TOTAL, "domain" => domain).increment(1);
}

/// A command ends every connection that it is carried out on, and goes back to the queue unanswered.
pub(crate) fn given_back(domain: &'static str, received: &ReceivedCommand, why: &str) {
    let (saga_id, command_id) = (received.envelope.saga_id(), &received.envelope.command_id);
    let (command, deliveries) = (received.registered.name, received.delivery.delivery_count);
    tracing::error!(%saga_id, %command_id, command, deliveries, why, "it ends its connections: given back");
    metrics::counter!(GIVEN_BACK_TOTAL, "domain" => domain, "command" => command).increment(1);
}

/// A message that can never be carried out goes to the dead letters.
pub(crate) fn dead_letter(domain: &'static str, message_id: &str, reason: &str) {
    tracing::warn!(domain, message_id, reason, "to the dead letters");
    metrics::counter!(DEAD_LETTERS_TOTAL, "domain" => domain).increment(1);
}

/// An outside call has ended.
pub(crate) fn called(domain: &'static str, command: &'static str, result: &'static str, took: Duration) {
    metrics::histogram!(OUTSIDE_SECONDS, "domain" => domain, "command" => command, "result" => result).record(took);
}

/// How many outside calls are under way.
pub(crate) fn calls(domain: &'static str, under_way: usize) {
    #[expect(clippy::cast_precision_loss, reason = "bounded by a few hundred")]
    metrics::gauge!(OUTSIDE_CALLS, "domain" => domain).set(under_way as f64);
}

/// An outside call stayed unclear however often it was made: no answer is given, because nothing is known.
pub(crate) fn unanswered(domain: &'static str, received: &ReceivedCommand, why: &str) {
    let (saga_id, command_id) = (received.envelope.saga_id(), &received.envelope.command_id);
    tracing::warn!(%saga_id, %command_id, command = received.registered.name, why, "left in doubt: no answer is given");
    metrics::counter!(UNANSWERED_TOTAL, "domain" => domain).increment(1);
}

/// No queue stands behind a command's reply address.
pub(crate) fn unroutable_reply(domain: &'static str, address: &str) {
    tracing::warn!(domain, address, "no queue takes this reply; the stored answer waits to be asked for again");
    metrics::counter!(UNROUTABLE_REPLIES_TOTAL, "domain" => domain).increment(1);
}

/// A command's reply was not taken by its queue for too long.
pub(crate) fn reply_given_up(domain: &'static str, address: &str, why: &str) {
    tracing::warn!(domain, address, why, "a reply is given up; the stored answer waits to be asked for again");
    metrics::counter!(REPLIES_GIVEN_UP_TOTAL, "domain" => domain).increment(1);
}

/// A try to take an event in has ended.
pub(crate) fn event(domain: &'static str, received: &ReceivedEvent, tries: u32, intake: &Intake) {
    let (name, event_id) = (received.registered.name, &received.event.id);
    let outcome = match intake {
        Intake::Applied => {
            tracing::debug!(domain, %event_id, name, tries, "taken in");
            "applied"
        }
        Intake::Duplicate => {
            tracing::debug!(domain, %event_id, name, tries, "taken in before");
            "duplicate"
        }
        Intake::Refused(why) => {
            tracing::warn!(domain, %event_id, name, tries, why, "refused");
            "refused"
        }
        Intake::Faulted(why) => {
            tracing::warn!(domain, %event_id, name, tries, why, "faulted");
            "faulted"
        }
    };
    metrics::counter!(TAKEN_EVENTS_TOTAL, "domain" => domain, "event" => name, "outcome" => outcome).increment(1);
}

/// Events were published.
pub(crate) fn published(domain: &'static str, events: usize) {
    metrics::counter!(EVENTS_TOTAL, "domain" => domain).increment(events as u64);
}

/// Ended rows were removed.
pub(crate) fn pruned(domain: &'static str, rows: &'static str, removed: u64) {
    tracing::info!(domain, rows, removed, "pruned");
    metrics::counter!(PRUNED_TOTAL, "domain" => domain, "rows" => rows).increment(removed);
}
