//! Turns a topology into declarations. The same code runs at start and after every reconnect.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lapin::{
    Channel, Connection, ExchangeKind,
    options::{
        ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};

use crate::{
    metrics,
    rabbitmq::{
        convert::short,
        options::{Installation, QueueKind},
    },
    topology::{
        Binding, Durability, EXISTS_OTHERWISE, Exchange, Namespace, QueueDeclaration, QueueName, Routing, Topology,
    },
};

/// AMQP's code for a queue or exchange that is not there.
pub(super) const NOT_FOUND: u16 = 404;

/// AMQP's code for one that is there with other arguments.
const PRECONDITION_FAILED: u16 = 406;

/// A queue that was deleted is declared again no sooner than this.
///
/// Found with RabbitMQ 3.10.8: a queue that is declared again before its consumers' channels have handled the deletion
/// takes those consumers over without telling them, and the channels then forget the new queue (`rabbit_channel` drops
/// the state that it has just made), so that they never deliver from it. A channel handles the deletion within
/// milliseconds.
pub(super) const QUEUE_IS_FORGOTTEN_AFTER: Duration = Duration::from_secs(1);

/// All that was ever declared over a connection, to be declared again over the next.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<Vec<QueueDeclaration>>);

impl Remembered {
    pub(super) fn add(&self, topology: &Topology) {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in topology.queues() {
            queues.retain(|known| known.name != queue.name);
            queues.push(queue.clone());
        }
    }

    pub(super) fn forget(&self, topology: &Topology) {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|known| topology.queues().iter().all(|forgotten| forgotten.name != known.name));
    }

    /// The declaration of a queue, unless only other clients have declared it.
    pub(super) fn find(&self, queue: &QueueName) -> Option<QueueDeclaration> {
        let queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.iter().find(|known| known.name == *queue).cloned()
    }

    /// The lasting queue that a message to this place goes to, unless only other clients have declared it.
    pub(super) fn fed_by(&self, exchange: Exchange, routing_key: &str) -> Option<QueueDeclaration> {
        let feeds = |binding: &Binding| match exchange.routing() {
            Routing::Direct => binding.exchange == exchange && binding.key == routing_key,
            Routing::Fanout => binding.exchange == exchange,
            // What subscribers hear of is theirs to say.
            Routing::Topic => false,
        };
        let queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it =
            |known: &&QueueDeclaration| known.durability != Durability::Exclusive && known.bindings.iter().any(feeds);
        queues.iter().find(is_it).cloned()
    }

    pub(super) fn queues(&self) -> Vec<QueueDeclaration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Declares the exchanges, then the queues and their bindings, on channels of their own: a refusal ends one.
pub(super) async fn apply(
    connection: &Connection,
    installation: &Installation,
    queues: &[QueueDeclaration],
) -> lapin::Result<()> {
    let namespace = &installation.namespace;
    let mut channel = connection.create_channel().await?;
    for exchange in Exchange::ALL {
        let kind = match exchange.routing() {
            Routing::Direct => ExchangeKind::Direct,
            Routing::Topic => ExchangeKind::Topic,
            Routing::Fanout => ExchangeKind::Fanout,
        };
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let name = short(&namespace.qualify(exchange.name()));
        channel.exchange_declare(name, kind, options, FieldTable::default()).await?;
    }
    for queue in queues {
        match declare_queue(&channel, installation, queue).await {
            Err(error) if has_code(&error, PRECONDITION_FAILED) => {
                metrics::exists_otherwise(&queue.name);
                // RabbitMQ's own words name the argument, and both its values.
                tracing::error!(queue = %queue.name, %error, "{EXISTS_OTHERWISE}");
                channel = connection.create_channel().await?;
            }
            declared => declared?,
        }
        bind_queue(&channel, namespace, queue).await?;
    }
    channel.close(200, "done".into()).await
}

/// Whether the broker refused with this code.
pub(super) fn has_code(error: &lapin::Error, code: u16) -> bool {
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(error) if error.get_id() == code)
}

/// Undoes [`apply`]. Deleting what is not there succeeds.
pub(super) async fn remove(
    connection: &Connection,
    namespace: &Namespace,
    queues: &[QueueDeclaration],
) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    for queue in queues {
        let name = short(&namespace.qualify(queue.name.as_str()));
        channel.queue_delete(name, QueueDeleteOptions::default()).await?;
    }
    for exchange in Exchange::ALL {
        let name = short(&namespace.qualify(exchange.name()));
        channel.exchange_delete(name, ExchangeDeleteOptions::default()).await?;
    }
    channel.close(200, "done".into()).await
}

async fn declare_queue(channel: &Channel, installation: &Installation, queue: &QueueDeclaration) -> lapin::Result<()> {
    let options = match queue.durability {
        Durability::Durable | Durability::Recoverable => {
            QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() }
        }
        // Transient is fine here only because exclusive queues are the one kind that may be, also in RabbitMQ 4.
        Durability::Exclusive => {
            QueueDeclareOptions { exclusive: true, auto_delete: false, ..QueueDeclareOptions::default() }
        }
    };
    let name = short(&installation.namespace.qualify(queue.name.as_str()));
    channel.queue_declare(name, options, arguments(installation, queue)).await?;
    Ok(())
}

async fn bind_queue(channel: &Channel, namespace: &Namespace, queue: &QueueDeclaration) -> lapin::Result<()> {
    let name = short(&namespace.qualify(queue.name.as_str()));
    for binding in &queue.bindings {
        // A routing key is what publishers write, so it is the logical one.
        let exchange = short(&namespace.qualify(binding.exchange.name()));
        let (key, options) = (short(&binding.key), QueueBindOptions::default());
        channel.queue_bind(name.clone(), exchange, key, options, FieldTable::default()).await?;
    }
    Ok(())
}

/// The arguments can never be changed on a queue that exists; a new value needs a new queue (or a policy).
fn arguments(installation: &Installation, queue: &QueueDeclaration) -> FieldTable {
    let kind = installation.queue_kind.of_queue(queue.durability);
    let mut arguments = FieldTable::default();
    let mut text = |name: &str, value: &str| {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    };
    // Also where it is classic: a virtual host may have another default.
    text("x-queue-type", kind.as_str());
    // Refusing is the only overflow that loses nothing, and what at-least-once dead lettering asks for.
    text("x-overflow", "reject-publish");
    if queue.name != QueueName::dead_letters() {
        text("x-dead-letter-exchange", &installation.namespace.qualify(Exchange::DeadLetters.name()));
        if kind == QueueKind::Quorum {
            text("x-dead-letter-strategy", "at-least-once");
        }
    }
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(i64::from(queue.length_max)));
    if kind == QueueKind::Quorum {
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(i64::from(queue.delivery_limit)));
    }
    arguments
}
