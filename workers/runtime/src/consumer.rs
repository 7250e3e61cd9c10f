//! The loop of one domain: takes what has arrived, has it carried out, and hands the replies on.
//!
//! ```text
//!  next_batch --> read --> engine (one transaction) --> sender: publish replies, then ack
//!      ^            |          |         ^
//!      |            v          v         | record
//!      |      dead letters   outside calls (bounded)
//! ```
//!
//! While the replies of one batch are being confirmed the next one is at work.

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
    time::Instant,
};

use contract::{CommandId, command::Route};
use messaging::{Acker, Broker, Delivery, Outgoing, PublishError, QueueName};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::Commands,
    engine::{Engine, Stopped},
    erased::AnyHandler,
    failure::pauses,
    observe,
    outside::{self, Called},
    received::{Part, ReceivedCommand},
    transaction::{FollowUp, OutsideCall, Reply},
};

/// How many batches of replies may wait for their confirms before the next batch has to wait too.
const UNCONFIRMED_BATCHES_MAX: usize = 4;

/// One domain's consumer.
pub(crate) struct Consumer {
    pub(crate) engine: Arc<Engine>,
    pub(crate) route: Route,
    pub(crate) commands: Commands,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) batch_commands_max: usize,
    pub(crate) prefetch_commands: u16,
    pub(crate) outside_calls_max: usize,
    /// Cancelled when nothing more is to be taken.
    pub(crate) drain: CancellationToken,
}

/// Replies whose deliveries may be acknowledged once they are confirmed.
#[derive(Default)]
struct Parcel {
    replies: Vec<Outgoing>,
    deliveries: Vec<Delivery>,
}

/// A command whose outside call has ended.
struct Finished {
    received: ReceivedCommand,
    delivery: Delivery,
    call: OutsideCall,
    called: Called,
}

/// The calls under way: by command, the further copies of it that wait for the same answer.
type Followers = HashMap<CommandId, Vec<(ReceivedCommand, Delivery)>>;

/// Commands and the deliveries that they came in, side by side.
#[derive(Default)]
struct Batch {
    received: Vec<ReceivedCommand>,
    deliveries: Vec<Delivery>,
}

impl Consumer {
    /// Consumes until told to drain, or until the client of the broker is closed.
    pub(crate) async fn run(&self) {
        let queue = QueueName::commands(self.route.as_str());
        let subscribed = self.broker.subscribe_with_retry(&queue, self.prefetch_commands);
        let Some(Some(mut subscription)) = self.drain.run_until_cancelled(subscribed).await else { return };
        let acker = subscription.acker();
        let (parcels, parcels_in) = mpsc::channel(UNCONFIRMED_BATCHES_MAX);
        let sender = tokio::spawn(send_replies(
            Arc::clone(&self.broker),
            acker.clone(),
            parcels_in,
            self.engine.domain,
            self.engine.stop.clone(),
        ));
        // Any command may turn out to need a call, so no more are taken than may be made; but for a domain without calls.
        let makes_calls = self.commands.values().any(|command| matches!(command.handler, AnyHandler::Outside(_)));
        let calls_max = if makes_calls { self.outside_calls_max } else { usize::MAX };
        let mut calls = JoinSet::new();
        let mut followers = Followers::new();
        loop {
            let room = self.batch_commands_max.min(calls_max.saturating_sub(calls.len()));
            let mut parcel = Parcel::default();
            let mut batch = Batch::default();
            let draining = self.drain.is_cancelled();
            tokio::select! {
                biased;
                Some(finished) = calls.join_next() => {
                    self.finish(finished, &mut batch, &mut parcel, &mut followers);
                    while let Some(finished) = calls.try_join_next() {
                        self.finish(finished, &mut batch, &mut parcel, &mut followers);
                    }
                }
                () = self.drain.cancelled(), if !draining => continue,
                taken = subscription.next_batch(room), if !draining && room > 0 => match taken {
                    Some(deliveries) => self.read(deliveries, &acker, &mut batch).await,
                    None => break,
                },
                else => break,
            }
            if self.carry_out(batch, &mut parcel, &mut calls, &mut followers).await.is_err() {
                break;
            }
            observe::calls(self.engine.domain, calls.len());
            if !parcel.deliveries.is_empty() && parcels.send(parcel).await.is_err() {
                break;
            }
        }
        drop(parcels);
        if let Err(error) = sender.await {
            tracing::error!(domain = self.engine.domain, %error, "the task that sends replies ended badly");
        }
        calls.shutdown().await;
        subscription.cancel().await;
    }

    /// Reads what was taken; what cannot be read goes to the dead letters, with the reason, and nothing else happens.
    async fn read(&self, deliveries: Vec<Delivery>, acker: &Acker, batch: &mut Batch) {
        for delivery in deliveries {
            match ReceivedCommand::taken(&delivery.message, self.route, &self.commands) {
                Ok(received) => batch.push(received, delivery),
                Err(unworkable) => {
                    let reason = unworkable.to_string();
                    observe::dead_letter(self.engine.domain, &delivery.message.message_id, &reason);
                    acker.dead_letter(&delivery, &reason).await;
                }
            }
        }
    }

    /// One transaction (or several), then a reply or an outside call for each.
    async fn carry_out(
        &self,
        batch: Batch,
        parcel: &mut Parcel,
        calls: &mut JoinSet<Finished>,
        followers: &mut Followers,
    ) -> Result<(), Stopped> {
        let Batch { received, deliveries } = batch;
        if received.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let follow_ups = self.engine.run(&received).await?;
        observe::batch(self.engine.domain, received.len(), started.elapsed());
        for ((received, delivery), follow_up) in received.into_iter().zip(deliveries).zip(follow_ups) {
            match follow_up {
                FollowUp::Reply(reply) => {
                    self.answer(&received, delivery, &reply, parcel);
                    // Only the copy that made the call speaks for the others.
                    if matches!(received.part, Part::Record { .. }) {
                        self.answer_followers(&received, &reply, parcel, followers);
                    }
                }
                FollowUp::Call(call) => match followers.entry(received.envelope.command_id.clone()) {
                    hash_map::Entry::Occupied(mut under_way) => under_way.get_mut().push((received, delivery)),
                    hash_map::Entry::Vacant(free) => {
                        free.insert(Vec::new());
                        let engine = Arc::clone(&self.engine);
                        calls.spawn(async move {
                            let called = outside::call(&engine, &received, &call).await;
                            Finished { received, delivery, call, called }
                        });
                    }
                },
            }
        }
        Ok(())
    }

    /// Takes in an ended call: its record is due, or its answer, or nothing.
    fn finish(
        &self,
        finished: Result<Finished, tokio::task::JoinError>,
        batch: &mut Batch,
        parcel: &mut Parcel,
        followers: &mut Followers,
    ) {
        let Finished { mut received, delivery, call, called } = match finished {
            Ok(finished) => finished,
            Err(error) => {
                // Its delivery stays unacknowledged and comes again when this consumer ends.
                tracing::error!(domain = self.engine.domain, %error, "an outside call ended badly");
                return;
            }
        };
        match called {
            Called::Answer(answer) => {
                let OutsideCall { handler, prepared, .. } = call;
                received.part = Part::Record { handler, prepared, answer };
                batch.push(received, delivery);
            }
            Called::Fault(reply) => {
                self.answer(&received, delivery, &reply, parcel);
                self.answer_followers(&received, &reply, parcel, followers);
            }
            Called::Unclear(why) => {
                observe::unanswered(self.engine.domain, &received, &why);
                parcel.deliveries.push(delivery);
                let copies = followers.remove(&received.envelope.command_id).unwrap_or_default();
                parcel.deliveries.extend(copies.into_iter().map(|(_, delivery)| delivery));
            }
            Called::Stopped => {
                followers.remove(&received.envelope.command_id);
            }
        }
    }

    fn answer_followers(
        &self,
        received: &ReceivedCommand,
        reply: &Reply,
        parcel: &mut Parcel,
        followers: &mut Followers,
    ) {
        for (copy, delivery) in followers.remove(&received.envelope.command_id).unwrap_or_default() {
            self.answer(&copy, delivery, reply, parcel);
        }
    }

    fn answer(&self, received: &ReceivedCommand, delivery: Delivery, reply: &Reply, parcel: &mut Parcel) {
        observe::ended(self.engine.domain, received, reply);
        match received.reply(&reply.outcome) {
            Ok(outgoing) => parcel.replies.push(outgoing),
            Err(error) => {
                tracing::error!(command_id = %received.envelope.command_id, %error, "a reply cannot be written")
            }
        }
        parcel.deliveries.push(delivery);
    }
}

impl Batch {
    fn push(&mut self, received: ReceivedCommand, delivery: Delivery) {
        self.received.push(received);
        self.deliveries.push(delivery);
    }
}

/// Publishes replies, then acknowledges what they answer. Never the other way round.
async fn send_replies(
    broker: Arc<dyn Broker>,
    acker: Acker,
    mut parcels: mpsc::Receiver<Parcel>,
    domain: &'static str,
    stop: CancellationToken,
) {
    while let Some(Parcel { replies, deliveries }) = parcels.recv().await {
        if publish_all(broker.as_ref(), replies, domain, &stop).await {
            acker.ack(&deliveries).await;
        }
    }
}

/// True when every reply is with the broker, or can never be.
async fn publish_all(
    broker: &dyn Broker,
    mut replies: Vec<Outgoing>,
    domain: &'static str,
    stop: &CancellationToken,
) -> bool {
    for pause in pauses() {
        if replies.is_empty() {
            return true;
        }
        let results = tokio::select! {
            () = stop.cancelled() => return false,
            results = broker.publish(replies.clone()) => results,
        };
        let mut again = Vec::new();
        for (reply, result) in replies.into_iter().zip(results) {
            match result {
                Ok(()) => {}
                Err(PublishError::Unroutable { .. }) => observe::unroutable_reply(domain, &reply.routing_key),
                Err(error @ PublishError::TooLarge { .. }) => {
                    tracing::error!(domain, %error, message_id = reply.message.message_id, "a reply is too large");
                }
                Err(PublishError::NotConfirmed { .. } | PublishError::Unavailable { .. }) => again.push(reply),
            }
        }
        replies = again;
        if !replies.is_empty() {
            tokio::select! {
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
    replies.is_empty()
}
