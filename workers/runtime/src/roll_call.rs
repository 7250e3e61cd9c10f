//! The answer to a roll call: who this process is, told when an orchestrator asks. A process that nobody asks reports nothing.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::{
    InstanceId, Route, envelope,
    roll_call::{KIND_WORKER_PRESENT, RollCall, WorkerPresent},
};
use messaging::{Broker, BrokerError, Delivery, Message, Outgoing, QueueName, Topology};
use tokio_util::sync::CancellationToken;

use crate::limits;

/// A worker process, as it tells of itself.
pub(crate) struct Presence {
    broker: Arc<dyn Broker>,
    instance: InstanceId,
    version: String,
    started_at: DateTime<Utc>,
    domains: Vec<Route>,
}

impl Presence {
    /// Declares the queue on which this process hears the calls.
    pub(crate) async fn declare(
        broker: &Arc<dyn Broker>,
        version: &str,
        started_at: DateTime<Utc>,
        domains: Vec<Route>,
    ) -> Result<Self, BrokerError> {
        let (broker, instance) = (Arc::clone(broker), kit::ids::instance_id());
        broker.declare(&Topology::new().with_worker(&instance.to_string())).await?;
        Ok(Self { broker, instance, version: version.to_owned(), started_at, domains })
    }

    /// Answers every call until told to drain.
    pub(crate) async fn answer(self, drain: CancellationToken) {
        let queue = QueueName::worker(&self.instance.to_string());
        let answering = async {
            let subscribed = self.broker.subscribe_with_retry(&queue, limits::PREFETCH_ROLL_CALLS).await;
            let Some(mut subscription) = subscribed else { return };
            let acker = subscription.acker();
            while let Some(deliveries) = subscription.next_batch(usize::from(limits::PREFETCH_ROLL_CALLS)).await {
                let answers: Vec<_> = deliveries.iter().filter_map(|delivery| self.answer_to(delivery)).collect();
                for unsent in self.broker.publish(answers).await.into_iter().filter_map(Result::err) {
                    // The orchestrator that asked does not wait for long, and asks again.
                    tracing::debug!(error = %unsent, "an answer to a roll call was not sent");
                }
                acker.ack(&deliveries).await;
            }
        };
        drain.run_until_cancelled(answering).await;
    }

    fn answer_to(&self, delivery: &Delivery) -> Option<Outgoing> {
        let read = envelope::read::<RollCall>(&delivery.message.body, "roll call");
        // A question of a later program is worth no dead letter.
        let call = read.inspect_err(|error| tracing::debug!(%error, "a roll call that cannot be read")).ok()?;
        let present = WorkerPresent {
            request_id: call.request_id,
            instance: self.instance,
            version: self.version.clone(),
            started_at: self.started_at,
            domains: self.domains.clone(),
        };
        let body = serde_json::to_vec(&present).ok()?;
        let message = Message::new(kit::ids::message_id().to_string(), KIND_WORKER_PRESENT, body);
        Some(Outgoing::reply(call.answer_to, message))
    }
}
