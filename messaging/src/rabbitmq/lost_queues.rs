//! Queues that are gone while no consumer of theirs is there to declare them again: an operator deleted the queue of a
//! domain that is away, or the dead letters. The publisher whose message comes back declares them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    error::BrokerError,
    rabbitmq::{
        declare::{self, QUEUE_IS_FORGOTTEN_AFTER, Remembered},
        link::{Link, Live},
        options::{Installation, OPERATION_TIMEOUT},
    },
    topology::{Exchange, QueueName},
};

/// Declares queues again over the publishing connection.
pub(super) struct LostQueues {
    link: Arc<Link>,
    installation: Installation,
    remembered: Arc<Remembered>,
    /// The queues that were declared again, and when: one publisher does it for all whose messages came back.
    declared: Mutex<HashMap<QueueName, Instant>>,
}

impl LostQueues {
    pub(super) fn new(link: Arc<Link>, installation: Installation, remembered: Arc<Remembered>) -> Self {
        Self { link, installation, remembered, declared: Mutex::default() }
    }

    /// Declares the queues that messages to these places should have reached. Answers whether there is one, and it may be
    /// tried again.
    pub(super) async fn declare_again(
        &self,
        places: impl Iterator<Item = (Exchange, &str)>,
        deadline: Instant,
    ) -> bool {
        let places: BTreeSet<_> = places.collect();
        let lost: Vec<_> =
            places.into_iter().filter_map(|(exchange, key)| self.remembered.fed_by(exchange, key)).collect();
        if lost.is_empty() {
            return false;
        }
        let declaring = async {
            let mut declared = self.declared.lock().await;
            let is_new = |queue: &QueueName| {
                declared.get(queue).is_none_or(|declared| declared.elapsed() >= QUEUE_IS_FORGOTTEN_AFTER)
            };
            let lost: Vec<_> = lost.into_iter().filter(|queue| is_new(&queue.name)).collect();
            if lost.is_empty() {
                return Ok(());
            }
            // A consumer that is there does it too; it is as well to come second.
            sleep(QUEUE_IS_FORGOTTEN_AFTER).await;
            let (installation, queues) = (&self.installation, lost.as_slice());
            let attempt = |live: Arc<Live>| async move { declare::apply(&live.connection, installation, queues).await };
            self.link.run("declaring lost queues again", OPERATION_TIMEOUT, attempt).await?;
            for queue in &lost {
                tracing::warn!(queue = %queue.name, "messages came back: the queue was gone, and is declared again");
                declared.insert(queue.name.clone(), Instant::now());
            }
            Ok::<_, BrokerError>(())
        };
        match timeout_at(deadline, declaring).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(%error, "queues that are gone cannot be declared again");
                false
            }
            Err(_) => false,
        }
    }
}
