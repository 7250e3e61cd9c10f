//! One command on its way through the worker: read from its message, and written back as a reply.

use std::sync::Arc;

use contract::{
    Op,
    command::Route,
    envelope::{self, CommandEnvelope, KIND_COMMAND, KIND_REPLY},
};
use messaging::{Delivery, Message, NAME_BYTES_MAX, Outgoing, headers};
use serde::Serialize;

use crate::{
    context::Context,
    domain::{Commands, Registered},
    erased::{AnyAnswer, AnyCommand, AnyOutside, StoredOutcome},
    handler_error::HandlerError,
};

/// How much of a strange kind its dead letter repeats, in characters.
const KIND_CHARS_SHOWN: usize = 64;

/// A command given back to the queue so often may be what ends its workers or their connections.
const SUSPECT_DELIVERIES: u32 = 2;

/// A command that this domain can carry out.
pub(crate) struct ReceivedCommand {
    pub(crate) envelope: CommandEnvelope,
    pub(crate) registered: Arc<Registered>,
    pub(crate) part: Part,
    /// The message that it came in, to be settled when it is answered.
    pub(crate) delivery: Delivery,
    /// The payload as it was read, for the first run of the handler.
    command: Option<AnyCommand>,
}

/// The part of a command that is due.
pub(crate) enum Part {
    /// The first transaction: all of a local command, the prepare of an outside one.
    First,
    /// The record of an outside call.
    Record {
        /// The command's handler.
        handler: Arc<dyn AnyOutside>,
        /// The JSON that the prepare stored.
        prepared: String,
        /// The answer to the call.
        answer: AnyAnswer,
    },
}

/// Why a message can never be carried out here: the reason on its dead letter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unworkable {
    #[error("the message's kind `{0}` is not one that this queue takes")]
    Kind(String),
    #[error(transparent)]
    Envelope(#[from] envelope::EnvelopeError),
    #[error("the command is for `{theirs}`, but lay in the queue of `{ours}`")]
    WrongDomain { theirs: &'static str, ours: &'static str },
    #[error("`{name}` is not a command of `{domain}`, which knows {known}")]
    UnknownCommand { name: String, domain: &'static str, known: String },
    #[error("`{name}` version {theirs} is not known here, only version {ours}")]
    UnknownVersion { name: String, theirs: u16, ours: String },
    #[error("the payload of `{name}` is not readable: {source}")]
    Payload { name: &'static str, source: serde_json::Error },
    #[error("`{name}` undoes nothing, but was sent as a compensation")]
    NotACompensation { name: &'static str },
    #[error("the reply address has {0} bytes; it must have 1 to {NAME_BYTES_MAX}")]
    ReplyAddress(usize),
}

/// A message that can never be carried out here.
pub(crate) struct Unreadable {
    pub(crate) delivery: Delivery,
    pub(crate) why: Unworkable,
}

impl ReceivedCommand {
    /// Reads a message, down to the payload.
    pub(crate) fn read(delivery: Delivery, route: Route, commands: &Commands) -> Result<Self, Box<Unreadable>> {
        match Self::parts(&delivery.message, route, commands) {
            Ok((envelope, registered, command)) => {
                Ok(Self { envelope, registered, part: Part::First, delivery, command: Some(command) })
            }
            Err(why) => Err(Box::new(Unreadable { delivery, why })),
        }
    }

    fn parts(
        message: &Message,
        route: Route,
        commands: &Commands,
    ) -> Result<(CommandEnvelope, Arc<Registered>, AnyCommand), Unworkable> {
        if message.kind != KIND_COMMAND {
            return Err(Unworkable::Kind(message.kind.chars().take(KIND_CHARS_SHOWN).collect()));
        }
        let envelope: CommandEnvelope = envelope::read(&message.body, "command")?;
        if envelope.route != route {
            return Err(Unworkable::WrongDomain { theirs: envelope.route.as_str(), ours: route.as_str() });
        }
        let Some(registered) = commands.get(&(envelope.name.as_str(), envelope.version)) else {
            return Err(unknown(&envelope, route, commands));
        };
        let name = registered.name;
        if envelope.op() == Op::Compensation && registered.null_reply.is_none() {
            return Err(Unworkable::NotACompensation { name });
        }
        if envelope.reply_to.is_empty() || envelope.reply_to.len() > NAME_BYTES_MAX {
            return Err(Unworkable::ReplyAddress(envelope.reply_to.len()));
        }
        let command = (registered.decode)(&envelope.payload).map_err(|source| Unworkable::Payload { name, source })?;
        let registered = Arc::clone(registered);
        Ok((envelope, registered, command))
    }

    /// Whether nothing says that the inbox could know this command's step: the first sending of an action, handed out
    /// for the first time. If the inbox knows it all the same, the insert of its outcome finds the key taken.
    pub(crate) fn is_surely_first(&self, now: chrono::DateTime<chrono::Utc>) -> bool {
        let CommandEnvelope { command_id, attempt, expires_at, .. } = &self.envelope;
        matches!(self.part, Part::First)
            && (command_id.op, command_id.generation, *attempt) == (Op::Action, 1, 1)
            && !self.delivery.redelivered
            && self.delivery.delivery_count == 0
            && expires_at.is_none_or(|expires_at| now <= expires_at)
    }

    /// Whether it was given back so often that it had better be carried out alone.
    pub(crate) const fn is_suspect(&self) -> bool {
        self.delivery.delivery_count >= SUSPECT_DELIVERIES
    }

    /// The command, for one run of the handler.
    pub(crate) fn command(&mut self) -> Result<AnyCommand, HandlerError> {
        match self.command.take() {
            Some(command) => Ok(command),
            None => (self.registered.decode)(&self.envelope.payload)
                .map_err(|error| HandlerError::fault(format!("the payload is not readable: {error}"))),
        }
    }

    /// The command, to be looked at before its handler is run.
    pub(crate) fn decoded(&mut self) -> Result<&AnyCommand, HandlerError> {
        let command = self.command()?;
        Ok(self.command.insert(command))
    }

    /// The answer of a compensation that has nothing to undo.
    pub(crate) fn null_outcome(&self) -> Result<StoredOutcome, HandlerError> {
        let null_reply = self.registered.null_reply.as_ref();
        let null_reply = null_reply.ok_or_else(|| HandlerError::fault("this command is no compensation"))?;
        null_reply(&self.envelope.payload)
    }

    /// Fresh surroundings for a run of the handler.
    pub(crate) fn context(&self, now: chrono::DateTime<chrono::Utc>) -> Context {
        Context::new(self.envelope.command_id.clone(), self.envelope.attempt, now)
    }

    /// The reply's message.
    pub(crate) fn reply(&self, outcome: &StoredOutcome) -> Result<Outgoing, serde_json::Error> {
        let message_id = kit::ids::message_id().to_string();
        let head = ReplyHead {
            message_id: &message_id,
            command_id: &self.envelope.command_id,
            attempt: self.envelope.attempt,
            parcels: self.envelope.route,
            traceparent: self.envelope.traceparent,
        };
        let body = splice(serde_json::to_string(&head)?, &outcome.0);
        let mut message = Message::new(message_id, KIND_REPLY, body);
        if let Some(trace) = self.envelope.traceparent {
            message = message.with_header(headers::TRACEPARENT, trace.to_string());
        }
        Ok(Outgoing::reply(&self.envelope.reply_to, message).to_unpacker(self.envelope.parcels))
    }
}

/// Why no handler is registered for a command.
fn unknown(envelope: &CommandEnvelope, route: Route, commands: &Commands) -> Unworkable {
    let ours: Vec<String> =
        commands.keys().filter(|(name, _)| *name == envelope.name).map(|(_, version)| version.to_string()).collect();
    if !ours.is_empty() {
        let (name, theirs) = (envelope.name.clone(), envelope.version);
        return Unworkable::UnknownVersion { name, theirs, ours: ours.join(" and ") };
    }
    let mut known: Vec<&str> = commands.keys().map(|(name, _)| *name).collect();
    known.dedup();
    Unworkable::UnknownCommand {
        name: envelope.name.chars().take(NAME_BYTES_MAX).collect(),
        domain: route.as_str(),
        known: known.join(", "),
    }
}

/// A reply's envelope without its outcome, which is put in as the bytes that the inbox holds.
#[derive(Serialize)]
struct ReplyHead<'a> {
    message_id: &'a str,
    command_id: &'a contract::CommandId,
    attempt: u16,
    /// Our broker unpacks parcels.
    parcels: Route,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<contract::Traceparent>,
}

/// One JSON object of the members of two, neither of them empty.
fn splice(mut head: String, tail: &str) -> String {
    head.pop();
    head.push(',');
    head.push_str(&tail[1..]);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_objects_become_one() {
        let both = splice(r#"{"a":1}"#.to_owned(), r#"{"outcome":"done","reply":{"b":[2]}}"#);
        assert_eq!(both, r#"{"a":1,"outcome":"done","reply":{"b":[2]}}"#);
    }
}
