//! Dead letters: kept in the journal, shown on their saga, told to the saga's lane, and sent again on demand.
//!
//! Every orchestrator takes from the dead-letter queue; the broker hands each letter to one of them.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use contract::{
    CommandId, MessageId, SagaId, StepName,
    envelope::{self, CommandEnvelope, KIND_COMMAND},
    orchestrator_api::DeadLetterView,
};
use journal::{JournalError, KeptDeadLetter, NewDeadLetter};
use messaging::{Delivery, Exchange, Message, Outgoing, PublishError, QueueName, Subscription};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::wire::{DeadCommand, dead_command};
use crate::{names, shared::Shared};

/// Letters at a time. They should be rare, and each is a write to the journal.
const PREFETCH: u16 = 32;

/// Between attempts to keep a letter while the journal does not answer.
const AGAIN: Duration = Duration::from_millis(500);

/// The reason why a letter could not be sent again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedriveError {
    /// There is none of that number.
    #[error("there is no dead letter {0}")]
    Unknown(i64),
    /// It was published to an exchange that is not one of ours.
    #[error("the letter does not say to which exchange it belongs")]
    NoExchange,
    /// The journal failed.
    #[error("the journal failed")]
    Journal(#[from] JournalError),
    /// The broker did not take it.
    #[error("the broker did not take it")]
    Publish(#[from] PublishError),
}

/// Takes dead letters until the end.
pub(crate) async fn collect(shared: Arc<Shared>, stop: CancellationToken) {
    let collecting = async {
        if let Some(subscription) = shared.broker.subscribe_with_retry(&QueueName::dead_letters(), PREFETCH).await {
            take_letters(&shared, subscription).await;
        }
    };
    stop.run_until_cancelled(collecting).await;
}

/// The step whose command the letter was. Its deadline, and with it the letter's body, may be long over: it is the step
/// that is to be done again.
pub(crate) fn step_of(letter: &NewDeadLetter) -> Option<(SagaId, StepName)> {
    let command = letter.command_id.as_ref().filter(|_| letter.kind == KIND_COMMAND)?;
    Some((command.saga, command.step.clone()))
}

/// A kept letter.
pub(crate) async fn find(shared: &Shared, id: i64) -> Result<KeptDeadLetter, RedriveError> {
    shared.journal.dead_letter(id).await?.ok_or(RedriveError::Unknown(id))
}

/// Publishes a letter to where it was first published, under a new message id: should it die again, it is a new letter.
pub(crate) async fn publish_again(shared: &Shared, letter: NewDeadLetter) -> Result<(), RedriveError> {
    let exchange = letter.exchange.as_deref().and_then(Exchange::from_name).ok_or(RedriveError::NoExchange)?;
    let message = Message::new(kit::ids::message_id().to_string(), letter.kind, letter.body);
    let outgoing = Outgoing::to(exchange, letter.routing_key, message);
    Ok(shared.broker.publish(vec![outgoing]).await.into_iter().collect::<Result<(), _>>()?)
}

/// Notes that a letter was sent again.
pub(crate) async fn mark(shared: &Shared, id: i64) -> Result<DeadLetterView, RedriveError> {
    shared.journal.mark_redriven(id, shared.clock.now()).await?;
    Ok(find(shared, id).await?.view)
}

async fn take_letters(shared: &Shared, mut subscription: Subscription) {
    let acker = subscription.acker();
    while let Some(deliveries) = subscription.next_batch(usize::from(PREFETCH)).await {
        for delivery in &deliveries {
            // A letter is never given up: without a journal it waits, unacknowledged, and with it those behind.
            while let Err(error) = keep(shared, delivery).await {
                tracing::warn!(error, "a dead letter cannot be kept yet");
                tokio::time::sleep(AGAIN).await;
            }
        }
        acker.ack(&deliveries).await;
    }
}

async fn keep(shared: &Shared, delivery: &Delivery) -> Result<(), String> {
    let letter = read_letter(delivery, shared.clock.now());
    shared.journal.keep_dead_letter(&letter).await.map_err(|error| kit::settings::error_chain(&error))?;
    let NewDeadLetter { saga_id, queue, reason, kind, .. } = &letter;
    let saga_id = saga_id.map(|id| id.to_string()).unwrap_or_default();
    tracing::warn!(saga_id, queue, reason, kind, "a message ended in the dead letters");
    metrics::counter!(names::DEAD_LETTERS, "queue" => queue.clone()).increment(1);
    if letter.kind == KIND_COMMAND {
        tell_lane(shared, delivery, letter.reason).await?;
    }
    Ok(())
}

/// A dead command is a fault of its attempt: the saga must not wait for its deadline to learn that.
async fn tell_lane(shared: &Shared, delivery: &Delivery, reason: String) -> Result<(), String> {
    let Ok(command) = envelope::read::<CommandEnvelope>(&delivery.message.body, "command") else { return Ok(()) };
    let queue = shared.queue_of(command.saga_id());
    let dead = DeadCommand { command_id: command.command_id, attempt: command.attempt, reason };
    let published = shared.broker.publish(vec![dead_command(&queue, &dead)]).await;
    published.into_iter().collect::<Result<(), _>>().map_err(|error| error.to_string())
}

fn read_letter(delivery: &Delivery, now: DateTime<Utc>) -> NewDeadLetter {
    let Message { message_id, kind, body, .. } = &delivery.message;
    let (saga_id, command_id) = whose(body);
    let died = delivery.dead_letter();
    let (reason, queue, exchange) = match died {
        Some(died) => (died.reason, died.source_queue.to_string(), died.source_exchange),
        None => ("put into the dead letters without a reason".to_owned(), delivery.queue.to_string(), None),
    };
    NewDeadLetter {
        message_id: if message_id.parse::<MessageId>().is_ok() { message_id.clone() } else { stand_in_id(delivery) },
        saga_id,
        command_id,
        queue,
        exchange: exchange.map(|exchange| exchange.name().to_owned()),
        routing_key: delivery.routing_key.clone(),
        reason,
        kind: kind.clone(),
        body: body.to_vec(),
        received_at: now,
    }
}

/// The saga and the command that the body still tells, read as loosely as possible: it is dead because it does not
/// read strictly.
fn whose(body: &[u8]) -> (Option<SagaId>, Option<CommandId>) {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return (None, None) };
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let command: Option<CommandId> = text("command_id").and_then(|text| text.parse().ok());
    let saga = command.as_ref().map(|command| command.saga);
    (saga.or_else(|| text("saga_id").and_then(|text| text.parse().ok())), command)
}

/// A stranger's message is known again by all that it says: its id alone may be missing, or the same on many.
fn stand_in_id(delivery: &Delivery) -> String {
    let mut hasher = DefaultHasher::new();
    let Message { message_id, kind, body, .. } = &delivery.message;
    (message_id, kind, body, &delivery.routing_key).hash(&mut hasher);
    format!("stranger-{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_connected_to_its_saga_whenever_it_still_tells() {
        let command = "saga_00000000000000000000000000000007:hold-seats:action:1";
        let (saga, id) = whose(format!(r#"{{"command_id":"{command}","outcome":"nonsense"}}"#).as_bytes());
        assert_eq!(id.map(|id| id.to_string()).as_deref(), Some(command));
        assert_eq!(saga.map(|id| id.to_string()).as_deref(), Some("saga_00000000000000000000000000000007"));
        let (saga, id) = whose(br#"{"saga_id":"saga_00000000000000000000000000000007"}"#);
        assert!(saga.is_some() && id.is_none());
        assert_eq!(whose(b"not json"), (None, None));
        assert_eq!(whose(b"[1]"), (None, None));
    }
}
