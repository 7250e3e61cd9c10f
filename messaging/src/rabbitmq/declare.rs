//! Turns a topology into declarations. The same code runs at start and after every reconnect.

use std::sync::{Mutex, PoisonError};

use lapin::{
    Channel, Connection, ExchangeKind,
    options::{
        ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};

use crate::{
    rabbitmq::convert::short,
    topology::{Exchange, Namespace, QueueDeclaration, QueueKind, Routing, Topology},
};

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

    pub(super) fn queues(&self) -> Vec<QueueDeclaration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Declares the exchanges, then the queues and their bindings, on a channel of its own: a refusal ends it.
pub(super) async fn apply(
    connection: &Connection,
    namespace: &Namespace,
    queues: &[QueueDeclaration],
) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
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
        declare_queue(&channel, namespace, queue).await?;
    }
    channel.close(200, "done".into()).await
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

async fn declare_queue(channel: &Channel, namespace: &Namespace, queue: &QueueDeclaration) -> lapin::Result<()> {
    let name = short(&namespace.qualify(queue.name.as_str()));
    let options = match queue.kind {
        QueueKind::Quorum => QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() },
        // Transient is fine here only because exclusive queues are the one kind that may be, also in RabbitMQ 4.
        QueueKind::Exclusive => {
            QueueDeclareOptions { exclusive: true, auto_delete: false, ..QueueDeclareOptions::default() }
        }
    };
    channel.queue_declare(name.clone(), options, arguments(namespace, queue)).await?;
    for binding in &queue.bindings {
        // A routing key is what publishers write, so it is the logical one.
        let exchange = short(&namespace.qualify(binding.exchange.name()));
        let (key, options) = (short(&binding.key), QueueBindOptions::default());
        channel.queue_bind(name.clone(), exchange, key, options, FieldTable::default()).await?;
    }
    Ok(())
}

/// The arguments can never be changed on a queue that exists; a new value needs a new queue (or a policy).
fn arguments(namespace: &Namespace, queue: &QueueDeclaration) -> FieldTable {
    let mut arguments = FieldTable::default();
    let mut text = |name: &str, value: &str| {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    };
    // Refusing is the only overflow that loses nothing, and what at-least-once dead lettering asks for.
    text("x-overflow", "reject-publish");
    if queue.kind == QueueKind::Quorum {
        text("x-queue-type", "quorum");
    }
    if queue.name != crate::topology::QueueName::dead_letters() {
        text("x-dead-letter-exchange", &namespace.qualify(Exchange::DeadLetters.name()));
        if queue.kind == QueueKind::Quorum {
            text("x-dead-letter-strategy", "at-least-once");
        }
    }
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(i64::from(queue.length_max)));
    if queue.kind == QueueKind::Quorum {
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(i64::from(queue.delivery_limit)));
    }
    arguments
}
