//! The loop of one domain: takes what has arrived, has it carried out, and hands the replies on.
//!
//! ```text
//!  next_batch --> read --> engine (transactions) --> replies: publish, then ack
//!      ^            |          |         ^
//!      |            v          v         | record
//!      |      dead letters   outside calls (bounded)
//! ```
//!
//! While the replies of one batch are being confirmed the next one is at work.

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
    time::{Duration, Instant},
};

use contract::{CommandId, command::Route};
use kit::gather::{Load, wait_for_more};
use messaging::{Acker, Broker, Delivery, QueueName, Subscription};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::Commands,
    engine::{Engine, Settled},
    erased::AnyHandler,
    observe,
    outside::{self, Called},
    own_connection::OwnConnection,
    received::{Part, ReceivedCommand, Unreadable},
    replies::{Parcel, Replies},
    transaction::{FollowUp, OutsideCall, Reply, expired},
};

/// How many parcels may wait for the task that sends them. It takes them at once, unless too many are unconfirmed.
const UNSENT_PARCELS_MAX: usize = 1;

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

/// A command whose outside call has ended.
struct Finished {
    received: ReceivedCommand,
    call: OutsideCall,
    called: Called,
}

/// The loop has come to its end: the worker stops, or nobody sends replies any more.
struct Ended;

/// One run of the loop.
struct Run<'c> {
    consumer: &'c Consumer,
    own: OwnConnection,
    acker: Acker,
    parcels: mpsc::Sender<Parcel>,
    calls: JoinSet<Finished>,
    /// The calls under way: by command, the further copies of it that wait for the same answer.
    followers: HashMap<CommandId, Vec<ReceivedCommand>>,
}

impl Consumer {
    /// Consumes until told to drain, or until the client of the broker is closed.
    pub(crate) async fn run(&self) {
        let queue = QueueName::commands(self.route.as_str());
        let subscribed = self.broker.subscribe_with_retry(&queue, self.prefetch_commands);
        let Some(Some(mut subscription)) = self.drain.run_until_cancelled(subscribed).await else { return };
        let (parcels, parcels_in) = mpsc::channel(UNSENT_PARCELS_MAX);
        let acker = subscription.acker();
        let replies =
            Replies::new(Arc::clone(&self.broker), acker.clone(), self.engine.domain, self.engine.stop.clone());
        let sender = tokio::spawn(replies.run(parcels_in));
        let mut run = Run {
            consumer: self,
            own: self.engine.bulkheads.consumer(),
            acker,
            parcels,
            calls: JoinSet::new(),
            followers: HashMap::new(),
        };
        // Any command may turn out to need a call, so no more are taken than may be made; but for a domain without calls.
        let makes_calls = self.commands.values().any(|command| matches!(command.handler, AnyHandler::Outside(_)));
        let calls_max = if makes_calls { self.outside_calls_max } else { usize::MAX };
        let mut load = Load::default();
        loop {
            let waiting = Instant::now();
            let room = self.batch_commands_max.min(calls_max.saturating_sub(run.calls.len()));
            let mut parcel = Parcel::default();
            let mut batch = Vec::new();
            let mut waited = Duration::ZERO;
            let draining = self.drain.is_cancelled();
            tokio::select! {
                biased;
                Some(finished) = run.calls.join_next() => {
                    run.finish(finished, &mut batch, &mut parcel);
                    while let Some(finished) = run.calls.try_join_next() {
                        run.finish(finished, &mut batch, &mut parcel);
                    }
                }
                () = self.drain.cancelled(), if !draining => continue,
                taken = subscription.next_batch(room), if !draining && room > 0 => match taken {
                    Some(mut deliveries) => {
                        waited = waiting.elapsed();
                        gather(&mut subscription, &mut deliveries, load, room).await;
                        run.read(deliveries, &mut batch, &mut parcel).await;
                    }
                    None => break,
                },
                else => break,
            }
            let (members, working) = (batch.len(), Instant::now());
            let Ok(()) = run.carry_out(batch, parcel).await else { break };
            load = load.after(members, waited, working.elapsed());
            observe::calls(self.engine.domain, run.calls.len());
        }
        let Run { own, parcels, mut calls, .. } = run;
        drop(parcels);
        if let Err(error) = sender.await {
            tracing::error!(domain = self.engine.domain, %error, "the task that sends replies ended badly");
        }
        calls.shutdown().await;
        subscription.cancel().await;
        own.close().await;
    }
}

/// Takes more, for as long as a consumer under this load waits for a fuller batch.
async fn gather(subscription: &mut Subscription, deliveries: &mut Vec<Delivery>, load: Load, room: usize) {
    let wait = wait_for_more(load, deliveries.len(), room);
    if wait.is_zero() {
        return;
    }
    let until = tokio::time::Instant::now() + wait;
    while deliveries.len() < room {
        let more = subscription.next_batch(room - deliveries.len());
        match tokio::time::timeout_at(until, more).await {
            Ok(Some(more)) => deliveries.extend(more),
            Ok(None) | Err(_) => return,
        }
    }
}

impl Run<'_> {
    /// Reads what was taken; what cannot be read goes to the dead letters, with the reason, and nothing else happens.
    /// What has expired is answered at once.
    async fn read(&self, deliveries: Vec<Delivery>, batch: &mut Vec<ReceivedCommand>, parcel: &mut Parcel) {
        let now = self.consumer.engine.clock.now();
        for delivery in deliveries {
            match ReceivedCommand::read(delivery, self.consumer.route, &self.consumer.commands) {
                Ok(received) => match expired(&received, now) {
                    Some(reply) => self.answer(received, &reply, parcel),
                    None => batch.push(received),
                },
                Err(unreadable) => {
                    let Unreadable { delivery, why } = *unreadable;
                    let reason = why.to_string();
                    observe::dead_letter(self.consumer.engine.domain, &delivery.message.message_id, &reason);
                    self.acker.dead_letter(&delivery, &reason).await;
                }
            }
        }
    }

    /// One transaction, or several; what has settled is answered before the rest is tried.
    async fn carry_out(&mut self, batch: Vec<ReceivedCommand>, mut parcel: Parcel) -> Result<(), Ended> {
        let engine = &self.consumer.engine;
        let (members, started) = (batch.len(), Instant::now());
        let mut parts = Engine::parts(batch);
        while let Some(settled) = engine.settle(&mut self.own, &mut parts).await.map_err(|_stopped| Ended)? {
            for settled in settled {
                self.follow_up(settled, &mut parcel).await;
            }
            self.hand_over(std::mem::take(&mut parcel)).await?;
        }
        if members > 0 {
            observe::batch(engine.domain, members, started.elapsed());
        }
        self.hand_over(parcel).await
    }

    async fn hand_over(&self, parcel: Parcel) -> Result<(), Ended> {
        if parcel.is_empty() { Ok(()) } else { self.parcels.send(parcel).await.map_err(|_closed| Ended) }
    }

    /// A reply, an outside call, or nothing but the way back to the queue.
    async fn follow_up(&mut self, settled: Settled, parcel: &mut Parcel) {
        let Settled { received, follow_up } = settled;
        match follow_up {
            FollowUp::Reply(reply) => {
                // Only the copy that made the call speaks for the others.
                if matches!(received.part, Part::Record { .. }) {
                    self.answer_followers(&received.envelope.command_id, &reply, parcel);
                }
                self.answer(received, &reply, parcel);
            }
            FollowUp::Call(call) => match self.followers.entry(received.envelope.command_id.clone()) {
                hash_map::Entry::Occupied(mut under_way) => under_way.get_mut().push(received),
                hash_map::Entry::Vacant(free) => {
                    free.insert(Vec::new());
                    let engine = Arc::clone(&self.consumer.engine);
                    self.calls.spawn(async move {
                        let called = outside::call(&engine, &received, &call).await;
                        Finished { received, call, called }
                    });
                }
            },
            FollowUp::GiveBack => {
                // Copies that wait for a record go back with it.
                let copies = match received.part {
                    Part::First => None,
                    Part::Record { .. } => self.followers.remove(&received.envelope.command_id),
                };
                let given_back = copies.into_iter().flatten().chain([received]).map(|copy| copy.delivery);
                self.acker.requeue(&given_back.collect::<Vec<_>>()).await;
            }
        }
    }

    /// Takes in an ended call: its record is due, or its answer, or nothing.
    fn finish(
        &mut self,
        finished: Result<Finished, tokio::task::JoinError>,
        batch: &mut Vec<ReceivedCommand>,
        parcel: &mut Parcel,
    ) {
        let Finished { mut received, call, called } = match finished {
            Ok(finished) => finished,
            Err(error) => {
                // Its delivery stays unacknowledged and comes again when this consumer ends.
                tracing::error!(domain = self.consumer.engine.domain, %error, "an outside call ended badly");
                return;
            }
        };
        match called {
            Called::Answer(answer) => {
                let OutsideCall { handler, prepared, .. } = call;
                received.part = Part::Record { handler, prepared, answer };
                batch.push(received);
            }
            Called::Fault(reply) => {
                self.answer_followers(&received.envelope.command_id, &reply, parcel);
                self.answer(received, &reply, parcel);
            }
            Called::Unclear(why) => {
                observe::unanswered(self.consumer.engine.domain, &received, &why);
                let copies = self.followers.remove(&received.envelope.command_id).unwrap_or_default();
                parcel.unanswered.extend(copies.into_iter().chain([received]).map(|copy| copy.delivery));
            }
            Called::Stopped => {
                self.followers.remove(&received.envelope.command_id);
            }
        }
    }

    fn answer_followers(&mut self, command: &CommandId, reply: &Reply, parcel: &mut Parcel) {
        for copy in self.followers.remove(command).unwrap_or_default() {
            self.answer(copy, reply, parcel);
        }
    }

    fn answer(&self, received: ReceivedCommand, reply: &Reply, parcel: &mut Parcel) {
        observe::ended(self.consumer.engine.domain, &received, reply);
        match received.reply(&reply.outcome) {
            Ok(outgoing) => parcel.replies.push((outgoing, received.delivery)),
            Err(error) => {
                tracing::error!(command_id = %received.envelope.command_id, %error, "a reply cannot be written");
                parcel.unanswered.push(received.delivery);
            }
        }
    }
}
