//! One input of a saga on its way through a turn, and where it came from.

use contract::{CommandId, RequestId, SagaId, envelope::ReplyEnvelope};
use machine::{ChildCall, ChildEnd, Input, Signal, Terms};
use messaging::Delivery;

use super::flow::Missing;
use crate::{
    messages::wire::{Act, DeadCommand, SignalSent},
    names,
    starts::lanes::StartRequest,
};

/// One input that a saga has not heard yet, or whose decision is not committed yet.
#[derive(Debug)]
pub(super) struct PendingInput {
    pub(super) saga: SagaId,
    pub(super) input: Input,
    pub(super) origin: Origin,
    /// How often it was decided in vain.
    pub(super) tries: u8,
    /// To be decided with no other input of its saga, because together they could not be stored.
    pub(super) alone: bool,
}

/// The origin of an input, and so what is owed for it.
#[derive(Debug)]
pub(super) enum Origin {
    /// A timer of this lane: nothing is owed.
    Timer,
    /// A reply, or the news of a dead command: an acknowledgment.
    Message(Delivery),
    /// Another saga of this lane, its parent or child: nothing is owed, since it is asked or told again after a crash.
    Family,
    /// An operator's act, or a signal: an acknowledgment, and the verdict.
    Act { delivery: Delivery, request_id: RequestId, if_head: Option<u64>, answer_to: String },
}

/// Inputs that are left for the next turn.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// Inputs of sagas that are to be loaded again.
    pub(super) inputs: Vec<PendingInput>,
    /// Starts whose key another start of the turn before had.
    pub(super) starts: Vec<StartRequest>,
}

impl Carried {
    pub(super) fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.starts.is_empty()
    }

    /// Whether an input of a saga is left.
    pub(super) fn has(&self, saga: SagaId) -> bool {
        self.inputs.iter().any(|input| input.saga == saga)
    }
}

impl PendingInput {
    pub(super) fn reply(reply: ReplyEnvelope, delivery: Delivery) -> Self {
        let ReplyEnvelope { command_id, attempt, outcome, .. } = reply;
        let saga = command_id.saga;
        Self::new(saga, Input::Replied { command_id, attempt, outcome }, Origin::Message(delivery))
    }

    pub(super) fn dead_command(dead: DeadCommand, delivery: Delivery) -> Self {
        let DeadCommand { command_id, attempt, reason } = dead;
        let saga = command_id.saga;
        Self::new(saga, Input::DeadLettered { command_id, attempt, reason }, Origin::Message(delivery))
    }

    pub(super) fn act(act: Act, delivery: Delivery) -> Self {
        let Act { request_id, answer_to, saga_id, action, operator, expires_at, if_head } = act;
        let terms = Terms { request_id: Some(request_id), expires_at };
        let input = Input::Operator { operator, action, terms };
        Self::new(saga_id, input, Origin::Act { delivery, request_id, if_head, answer_to })
    }

    pub(super) fn signal(sent: SignalSent, delivery: Delivery) -> Self {
        let SignalSent { request_id, answer_to, saga_id, id, name, payload, actor } = sent;
        let input = Input::Signaled(Signal { id, name, payload, actor });
        Self::new(saga_id, input, Origin::Act { delivery, request_id, if_head: None, answer_to })
    }

    /// A reply that is missing.
    pub(super) fn missing(missing: Missing) -> Self {
        let Missing { command_id, attempt } = missing;
        Self::new(command_id.saga, Input::ReplyMissing { command_id, attempt }, Origin::Timer)
    }

    /// A command that the broker will never take, for this reason.
    pub(super) const fn never_taken(command_id: CommandId, attempt: u16, reason: String) -> Self {
        Self::new(command_id.saga, Input::DeadLettered { command_id, attempt, reason }, Origin::Timer)
    }

    /// The end of a child, for its parent.
    pub(super) const fn child_ended(parent: SagaId, child: SagaId, end: ChildEnd) -> Self {
        Self::new(parent, Input::ChildEnded { child, end }, Origin::Family)
    }

    /// The word of a parent to a child that has begun. One that is only asked has nothing to decide.
    pub(super) fn from_parent(call: ChildCall) -> Option<Self> {
        match call {
            ChildCall::Begin(_) => None,
            ChildCall::Undo { child, cause } => Some(Self::new(child, Input::Undo { cause }, Origin::Family)),
            ChildCall::Ask { child } => Some(Self::new(child, Input::TimePassed, Origin::Family)),
        }
    }

    pub(super) const fn timer(saga: SagaId) -> Self {
        Self::new(saga, Input::TimePassed, Origin::Timer)
    }

    const fn new(saga: SagaId, input: Input, origin: Origin) -> Self {
        Self { saga, input, origin, tries: 0, alone: false }
    }

    /// The word in metrics.
    pub(super) const fn kind(&self) -> &'static str {
        match self.input {
            Input::Replied { .. } => "reply",
            Input::DeadLettered { .. } => "dead_command",
            Input::ReplyMissing { .. } => "reply_missing",
            Input::TimePassed => "timer",
            Input::Operator { .. } => "act",
            Input::Signaled(_) => "signal",
            Input::ChildEnded { .. } => "child_ended",
            Input::Undo { .. } => "undo",
        }
    }
}

/// Counts one message or timer that a lane took, by kind and verdict.
pub(super) fn count_input(kind: &'static str, verdict: &'static str) {
    metrics::counter!(names::INPUTS, "kind" => kind, "verdict" => verdict).increment(1);
}
