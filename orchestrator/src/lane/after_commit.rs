//! The work that follows a commit: commands to publish, messages to send, deliveries to acknowledge.

use contract::{
    CommandId,
    envelope::{CommandEnvelope, KIND_COMMAND},
};
use machine::CommandToSend;
use messaging::{Delivery, Message, Outgoing, QueueName, headers};

use super::{
    flow::{Flow, Way},
    pauses::Pauses,
};
use crate::{
    messages::{unpackers::Unpackers, wire::ActAnswer},
    saga_instance::SagaInstance,
};

/// The work that a turn leaves for after its commit.
#[derive(Debug, Default)]
pub(super) struct AfterCommit {
    /// The commands that were committed.
    pub(super) commands: Vec<Command>,
    /// Messages to orchestrators, sent once: a process that misses one asks again.
    pub(super) messages: Vec<Outgoing>,
    /// Answers to acts that this very process sent.
    pub(super) own_answers: Vec<ActAnswer>,
    /// Deliveries that are done with.
    pub(super) acks: Vec<Delivery>,
    /// Deliveries that no saga can hear, with the reason.
    pub(super) dead: Vec<(Delivery, String)>,
}

impl AfterCommit {
    /// The number of things to publish or acknowledge.
    pub(super) const fn len(&self) -> usize {
        self.commands.len() + self.messages.len() + self.acks.len() + self.dead.len()
    }

    pub(super) fn append(&mut self, mut more: Self) {
        self.commands.append(&mut more.commands);
        self.messages.append(&mut more.messages);
        self.own_answers.append(&mut more.own_answers);
        self.acks.append(&mut more.acks);
        self.dead.append(&mut more.dead);
    }
}

/// One command on its way out.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) id: CommandId,
    pub(super) attempt: u16,
    pub(super) outgoing: Outgoing,
}

impl Command {
    /// A committed command of a saga as it travels, to be answered on the shard's queue.
    pub(super) fn new(
        saga: &SagaInstance,
        command: CommandToSend,
        reply_to: &QueueName,
        unpackers: &Unpackers,
    ) -> Option<Self> {
        let CommandToSend { command_id, attempt, name, version, route, expires_at, payload, reply_within: _ } = command;
        let envelope = CommandEnvelope {
            message_id: kit::ids::message_id(),
            command_id,
            attempt,
            name: name.to_owned(),
            version,
            route,
            reply_to: reply_to.as_str().to_owned(),
            expires_at,
            traceparent: saga.traceparent,
            parcels: true,
            payload,
        };
        let body = match serde_json::to_vec(&envelope) {
            Ok(body) => body,
            Err(error) => {
                // The payload is JSON already and the rest cannot fail.
                tracing::error!(saga_id = %saga.id(), %error, "a command cannot be written");
                return None;
            }
        };
        let mut message = Message::new(envelope.message_id.to_string(), KIND_COMMAND, body);
        if let Some(traceparent) = envelope.traceparent {
            message = message.with_header(headers::TRACEPARENT, traceparent.to_string());
        }
        let outgoing = Outgoing::command(route.as_str(), message).to_unpacker(unpackers.has(route));
        Some(Self { id: envelope.command_id, attempt, outgoing })
    }
}

/// A saga's committed commands that may leave now, as they travel.
pub(super) fn admitted(
    (flow, pauses): (&mut Flow, &mut Pauses),
    reply_to: &QueueName,
    unpackers: &Unpackers,
    saga: &SagaInstance,
    commands: Vec<CommandToSend>,
    way: Way,
) -> Vec<Command> {
    let admitted = commands.into_iter().filter(|command| {
        let held = !flow.is_under_way(command) && pauses.hold(saga, command, way);
        !held && flow.admit(command, way)
    });
    admitted.filter_map(|command| Command::new(saga, command, reply_to, unpackers)).collect()
}
