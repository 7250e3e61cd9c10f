//! Publishing in pipelines.
//!
//! A *pipeline* is a group of messages written to one channel at once, whose confirms are then collected.
//! Until they are, the channel is its own. That is not only tidy: lapin hands a returned (unroutable) message
//! to any confirm of the channel that resolves next, and numbers concurrent publishes on one channel without
//! a lock around the write; so only when nothing else uses the channel, and all its confirms are gathered, is
//! it certain which message was returned. Many pipelines run side by side, each on a channel of a small pool.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, stream::FuturesUnordered};
use lapin::{
    Channel, Confirmation,
    message::BasicReturnMessage,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::{
    broker::{BrokerState, PUBLISH_TIMEOUT},
    error::PublishError,
    message::Outgoing,
    metrics,
    rabbitmq::{
        convert::{properties, short},
        link::{Link, Live},
        lost_queues::LostQueues,
        options::Installation,
        parcel,
    },
    topology::Exchange,
};

/// The most messages in one pipeline. Past some hundred, a longer one gains nothing and delays the first
/// confirms.
const PIPELINE_MESSAGES_MAX: usize = 256;

/// The most bytes of bodies in one pipeline (one message may be larger on its own).
const PIPELINE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The most pipelines at a time, so at most some 8,000 messages and 64 MiB wait for confirms: several times
/// what a broker confirms within its usual few milliseconds.
const PIPELINES_MAX: usize = 32;

type PublishResult = Result<(), PublishError>;

/// Publishes over the connection that is up at the moment.
pub(super) struct Publisher {
    link: Arc<Link>,
    installation: Installation,
    lost_queues: LostQueues,
    pipelines: Semaphore,
    idle: Mutex<Vec<IdleChannel>>,
}

/// A channel in confirm mode without a message that waits for its confirm.
struct IdleChannel {
    epoch: u64,
    channel: Channel,
}

impl Publisher {
    pub(super) fn new(link: Arc<Link>, installation: Installation, lost_queues: LostQueues) -> Self {
        Self { link, installation, lost_queues, pipelines: Semaphore::new(PIPELINES_MAX), idle: Mutex::default() }
    }

    /// See [`crate::Broker::publish`].
    pub(super) async fn publish(&self, batch: Vec<Outgoing>) -> Vec<PublishResult> {
        let deadline = Instant::now() + PUBLISH_TIMEOUT;
        let mut answers: Vec<Option<PublishResult>> =
            batch.iter().map(|outgoing| outgoing.check_size().err().map(Err)).collect();
        let unsent: Vec<usize> = (0..batch.len()).filter(|&index| answers[index].is_none()).collect();
        self.send(&batch, &unsent, &mut answers, deadline).await;
        let came_back = |index: &usize| matches!(answers[*index], Some(Err(PublishError::Unroutable { .. })));
        let returned: Vec<usize> = unsent.into_iter().filter(came_back).collect();
        if !returned.is_empty() {
            let places = returned.iter().map(|&index| (batch[index].exchange, batch[index].routing_key.as_str()));
            if self.lost_queues.declare_again(places, deadline).await {
                self.send(&batch, &returned, &mut answers, deadline).await;
            }
        }
        let answers: Vec<PublishResult> = answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|| Err(in_doubt("no answer was gathered"))))
            .collect();
        count(&batch, &answers);
        answers
    }

    /// Publishes these messages of a batch.
    async fn send(
        &self,
        batch: &[Outgoing],
        indexes: &[usize],
        answers: &mut [Option<PublishResult>],
        deadline: Instant,
    ) {
        let sent = parcel::put_together(batch, indexes.iter().copied());
        let outgoing: Vec<&Outgoing> = sent.iter().map(|sent| sent.outgoing(batch)).collect();
        let pipelines = plan(&outgoing);
        let pipelines = pipelines.into_iter().map(|pipeline| self.send_pipeline(&outgoing[pipeline], deadline));
        let answered = futures::future::join_all(pipelines).await;
        for (sent, answer) in sent.iter().zip(answered.into_iter().flatten()) {
            for &index in &sent.indexes {
                answers[index] = Some(answer.clone());
            }
        }
    }

    /// Publishes messages on one channel; answers in their order.
    async fn send_pipeline(&self, messages: &[&Outgoing], deadline: Instant) -> Vec<PublishResult> {
        let same = |detail: &str| messages.iter().map(|_| Err(in_doubt(detail))).collect();
        let Ok(permit) = timeout_at(deadline, self.pipelines.acquire()).await else {
            return same("too many messages wait for their confirms");
        };
        let _in_flight = metrics::InFlight::enter(messages.len());
        let (live, channel) = match timeout_at(deadline, self.channel()).await {
            Ok(Ok(found)) => found,
            Ok(Err(detail)) => return same(&detail),
            Err(_) => return same("the broker takes no messages"),
        };
        let started = Instant::now();
        let (answers, channel_is_clean) = self.confirm_all(&channel, messages, deadline).await;
        if channel_is_clean {
            metrics::publish_took(started.elapsed());
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(IdleChannel { epoch: live.epoch, channel });
        }
        drop(permit);
        answers
    }

    /// A channel for one pipeline, once the broker is willing to read. Fails at once without a connection.
    async fn channel(&self) -> Result<(Arc<Live>, Channel), String> {
        let mut state = self.link.state();
        // While blocked nothing more is queued, else an impatient caller could fill the memory.
        if state.wait_for(|state| *state != BrokerState::Blocked).await.is_err() {
            return Err("the client is closed".to_owned());
        }
        let live = self.link.current().ok_or("there is no connection")?;
        let reused = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|idle| idle.epoch == live.epoch && idle.channel.status().connected());
            idle.pop()
        };
        let channel = match reused {
            Some(IdleChannel { channel, .. }) => channel,
            None => open(&live).await.map_err(|error| format!("no channel: {error}"))?,
        };
        Ok((live, channel))
    }

    /// Writes every message, then gathers every confirm. Also says whether the channel owes no confirm any more.
    async fn confirm_all(
        &self,
        channel: &Channel,
        messages: &[&Outgoing],
        deadline: Instant,
    ) -> (Vec<PublishResult>, bool) {
        let mut answers: Vec<Option<PublishResult>> = messages.iter().map(|_| None).collect();
        let mut returned: Vec<BasicReturnMessage> = Vec::new();
        // Polled for the first time in this order, each writes its frames before the first waits for anything.
        let mut confirms: FuturesUnordered<_> = messages
            .iter()
            .enumerate()
            .map(|(position, outgoing)| async move { (position, self.write(channel, outgoing).await) })
            .collect();
        while let Ok(Some((position, confirmation))) = timeout_at(deadline, confirms.next()).await {
            let outgoing = messages[position];
            answers[position] = Some(match confirmation {
                Ok(Confirmation::Ack(back)) => {
                    returned.extend(back);
                    Ok(())
                }
                Ok(Confirmation::Nack(back)) => {
                    returned.extend(back);
                    Err(PublishError::NotConfirmed {
                        exchange: outgoing.exchange,
                        routing_key: outgoing.routing_key.clone(),
                    })
                }
                Ok(Confirmation::NotRequested) => Err(in_doubt("the channel was not in confirm mode")),
                Err(error) => Err(in_doubt(&error.to_string())),
            });
        }
        let is_clean = confirms.is_empty() && channel.status().connected();
        for back in returned {
            self.mark_returned(messages, &mut answers, &back);
        }
        let late = || Err(in_doubt(&format!("no confirm within {} s", PUBLISH_TIMEOUT.as_secs())));
        (answers.into_iter().map(|answer| answer.unwrap_or_else(late)).collect(), is_clean)
    }

    async fn write(&self, channel: &Channel, outgoing: &Outgoing) -> lapin::Result<Confirmation> {
        let Outgoing { exchange, routing_key, message, receiver_unpacks: _ } = outgoing;
        let options = BasicPublishOptions { mandatory: exchange.is_mandatory(), ..BasicPublishOptions::default() };
        let wire_exchange = short(&self.installation.namespace.qualify(exchange.name()));
        let properties = properties(message, *exchange, self.installation.queue_kind);
        channel.basic_publish(wire_exchange, short(routing_key), options, &message.body, properties).await?.await
    }

    /// Finds the message that came back. Equal ones came back equally often, so any of them will do.
    fn mark_returned(&self, messages: &[&Outgoing], answers: &mut [Option<PublishResult>], back: &BasicReturnMessage) {
        let back_id = back.properties.message_id().as_ref().map(|id| id.as_str()).unwrap_or_default();
        let found = messages.iter().zip(answers.iter_mut()).find(|(outgoing, answer)| {
            !matches!(answer, Some(Err(PublishError::Unroutable { .. })))
                && outgoing.message.message_id == back_id
                && outgoing.routing_key == back.routing_key.as_str()
                && self.installation.namespace.qualify(outgoing.exchange.name()) == back.exchange.as_str()
        });
        match found {
            Some((outgoing, answer)) => {
                *answer = Some(Err(PublishError::Unroutable {
                    exchange: outgoing.exchange,
                    routing_key: outgoing.routing_key.clone(),
                }));
            }
            None => {
                tracing::error!(message_id = back_id, "the broker returned a message that was not in this pipeline")
            }
        }
    }
}

async fn open(live: &Live) -> lapin::Result<Channel> {
    let channel = live.connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// Cuts what is sent into pipelines.
fn plan(messages: &[&Outgoing]) -> Vec<Range<usize>> {
    let mut pipelines: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (index, outgoing) in messages.iter().enumerate() {
        let size = outgoing.message.body.len();
        match pipelines.last_mut() {
            Some(pipeline) if pipeline.len() < PIPELINE_MESSAGES_MAX && bytes + size <= PIPELINE_BYTES_MAX => {
                pipeline.end = index + 1;
                bytes += size;
            }
            _ => {
                pipelines.push(index..index + 1);
                bytes = size;
            }
        }
    }
    pipelines
}

fn in_doubt(detail: &str) -> PublishError {
    PublishError::Unavailable { detail: detail.to_owned() }
}

/// Counts by exchange, many at a time where all went well.
fn count(batch: &[Outgoing], answers: &[PublishResult]) {
    for exchange in Exchange::ALL {
        let of_exchange = batch.iter().zip(answers).filter(|(outgoing, _)| outgoing.exchange == exchange);
        let confirmed = of_exchange.filter(|(_, answer)| answer.is_ok()).count();
        if confirmed > 0 {
            metrics::confirmed(exchange, confirmed as u64);
        }
    }
    for (outgoing, answer) in batch.iter().zip(answers).filter(|(_, answer)| answer.is_err()) {
        metrics::published(outgoing.exchange, answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn of_size(bytes: usize) -> Outgoing {
        Outgoing::command("flights", Message::new("m", "k", vec![b' '; bytes]))
    }

    #[test]
    fn a_batch_is_cut_into_pipelines_by_number_and_by_bytes() {
        let cut = |batch: &[Outgoing]| plan(&batch.iter().collect::<Vec<_>>());
        let batch: Vec<Outgoing> = (0..600).map(|_| of_size(10)).collect();
        assert_eq!(cut(&batch), [0..256, 256..512, 512..600]);
        assert_eq!(cut(&[of_size(PIPELINE_BYTES_MAX / 2), of_size(PIPELINE_BYTES_MAX / 2), of_size(1)]), [0..2, 2..3]);
    }
}
