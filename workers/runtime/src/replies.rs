//! Replies on their way out: published, and then the deliveries that they answer are acknowledged. No reply waits for the
//! confirms of those before it, and for none of their acknowledgments. A delivery is never acknowledged before its reply, with one exception: a reply that its queue has not taken for seconds is given up, because its command can be
//! asked for again and the inbox then repeats it, whereas a domain that waits for one queue serves no other.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, stream::FuturesUnordered};
use messaging::{Acker, Broker, BrokerState, Delivery, Outgoing, PublishError};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{limits, observe};

/// How many parcels of replies may wait for their confirms before the next one has to wait too.
const UNCONFIRMED_PARCELS_MAX: usize = 4;

/// How many replies that were not taken at once are held for another try; more wait unpublished.
const LATE_REPLIES_MAX: usize = 512;

/// The answers to the commands of a batch that have settled together.
#[derive(Default)]
pub(crate) struct Parcel {
    /// Replies, with the deliveries that may be acknowledged once they are confirmed.
    pub(crate) replies: Vec<(Outgoing, Delivery)>,
    /// Deliveries that nothing is to be told of.
    pub(crate) unanswered: Vec<Delivery>,
}

impl Parcel {
    pub(crate) const fn is_empty(&self) -> bool {
        self.replies.is_empty() && self.unanswered.is_empty()
    }
}

/// A reply that was not taken.
struct Late {
    reply: Outgoing,
    delivery: Delivery,
    since: Instant,
}

/// Sends one consumer's replies.
pub(crate) struct Replies {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) acker: Acker,
    pub(crate) domain: &'static str,
    /// Cancelled when nothing is worth waiting for any more.
    pub(crate) stop: CancellationToken,
    /// Waiting for another try, oldest first.
    late: Vec<Late>,
    /// Queues that had a reply of theirs given up, and have taken none since.
    refusing: BTreeSet<String>,
}

impl Replies {
    pub(crate) const fn new(
        broker: Arc<dyn Broker>,
        acker: Acker,
        domain: &'static str,
        stop: CancellationToken,
    ) -> Self {
        Self { broker, acker, domain, stop, late: Vec::new(), refusing: BTreeSet::new() }
    }

    /// Sends until there is no consumer to hand over more, and nothing is late.
    pub(crate) async fn run(mut self, mut parcels: mpsc::Receiver<Parcel>) {
        let mut open = true;
        let (mut published, mut acknowledged) = (FuturesUnordered::new(), FuturesUnordered::new());
        while open || !self.late.is_empty() || !published.is_empty() || !acknowledged.is_empty() {
            let room = open && self.late.len() < LATE_REPLIES_MAX && published.len() < UNCONFIRMED_PARCELS_MAX;
            let retry = async {
                if self.late.is_empty() {
                    std::future::pending().await
                } else {
                    tokio::time::sleep(limits::REPLY_RETRY_PAUSE).await;
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                // First, so that no reply waits for what only the broker waits for.
                parcel = parcels.recv(), if room => match parcel {
                    Some(Parcel { replies, unanswered }) => {
                        acknowledged.push(acknowledge(self.acker.clone(), unanswered));
                        let since = Instant::now();
                        let late = |(reply, delivery)| Late { reply, delivery, since };
                        published.push(publish(Arc::clone(&self.broker), replies.into_iter().map(late).collect()));
                    }
                    None => open = false,
                },
                Some((replies, results)) = published.next() => {
                    let settled = self.settled(replies, results);
                    acknowledged.push(acknowledge(self.acker.clone(), settled));
                }
                Some(()) = acknowledged.next() => {}
                () = retry => {
                    let late = std::mem::take(&mut self.late);
                    published.push(publish(Arc::clone(&self.broker), late));
                }
            }
        }
    }

    /// The deliveries whose replies were taken or never can be; the rest is kept.
    fn settled(&mut self, replies: Vec<Late>, results: Vec<Result<(), PublishError>>) -> Vec<Delivery> {
        let mut settled = Vec::with_capacity(replies.len());
        for (late, result) in replies.into_iter().zip(results) {
            let Late { reply, delivery, since } = late;
            match result {
                Ok(()) => {
                    self.refusing.remove(&reply.routing_key);
                    settled.push(delivery);
                }
                Err(PublishError::Unroutable { .. }) => {
                    observe::unroutable_reply(self.domain, &reply.routing_key);
                    settled.push(delivery);
                }
                Err(error @ PublishError::TooLarge { .. }) => {
                    tracing::error!(domain = self.domain, %error, id = reply.message.message_id, "a reply is too large");
                    settled.push(delivery);
                }
                // It is the broker that is away, and no queue of it: everything waits.
                Err(PublishError::NotConfirmed { .. } | PublishError::Unavailable { .. })
                    if *self.broker.state().borrow() != BrokerState::Connected =>
                {
                    self.late.push(Late { reply, delivery, since: Instant::now() });
                }
                Err(error @ (PublishError::NotConfirmed { .. } | PublishError::Unavailable { .. })) => {
                    let refusing = self.refusing.contains(&reply.routing_key);
                    if refusing || since.elapsed() >= limits::REPLY_GIVE_UP_AFTER {
                        observe::reply_given_up(self.domain, &reply.routing_key, &error.to_string());
                        self.refusing.insert(reply.routing_key);
                        settled.push(delivery);
                    } else {
                        self.late.push(Late { reply, delivery, since });
                    }
                }
            }
        }
        settled
    }
}

/// Publishes, and gives the replies back with their results.
async fn publish(broker: Arc<dyn Broker>, replies: Vec<Late>) -> (Vec<Late>, Vec<Result<(), PublishError>>) {
    let outgoing = replies.iter().map(|late| late.reply.clone()).collect();
    let results = broker.publish(outgoing).await;
    (replies, results)
}

async fn acknowledge(acker: Acker, deliveries: Vec<Delivery>) {
    acker.ack(&deliveries).await;
}
