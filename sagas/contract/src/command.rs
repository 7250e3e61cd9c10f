//! Commands, the domains that they go to, and the three ways in which they can end.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A request that a saga sends to a domain. Implemented by every message type of the domains' modules.
pub trait Command: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name on the wire, `domain.verb_noun`; never derived from the Rust name.
    const NAME: &'static str;
    /// The version of the payload, raised when it changes in a way that old readers would misread.
    const VERSION: u16;
    /// The domain that carries it out.
    const ROUTE: Route;
    /// The reply of a success.
    type Reply: Serialize + DeserializeOwned + Send + Sync + 'static;
}

/// The domains that take commands. Each has one queue, `commands.<domain>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// Registration and sessions of people.
    User,
    /// Orders and their history.
    Order,
    /// Stays, sold as rooms by the night.
    Accommodation,
    /// Flights, sold as seats.
    Flights,
    /// Payments, authorized and captured at a provider.
    Payment,
    /// The notices in a person's feed.
    Feed,
}

impl Route {
    /// Every domain, in the order of the architecture's picture.
    pub const ALL: [Self; 6] = [Self::User, Self::Order, Self::Accommodation, Self::Flights, Self::Payment, Self::Feed];

    /// The name of the domain, which is also its routing key.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Order => "order",
            Self::Accommodation => "accommodation",
            Self::Flights => "flights",
            Self::Payment => "payment",
            Self::Feed => "feed",
        }
    }
}

/// The end of a command, as the participant answers it. A missing reply is none of these: it leaves the outcome
/// unknown, and the orchestrator asks again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome<R> {
    /// The command took effect.
    Done {
        /// The participant's reply.
        reply: R,
    },
    /// The command met a business refusal. It had no effect, and is answered the same way however often it is sent
    /// (S10).
    Refused(Refusal),
    /// The command met a technical fault. It had no effect, left no trace, and may be sent again.
    Faulted(Fault),
}

impl<R> Outcome<R> {
    /// The outcome of a command that took effect.
    pub const fn done(reply: R) -> Self {
        Self::Done { reply }
    }

    /// The outcome of a business refusal.
    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        Self::Refused(Refusal { code: code.to_owned(), message: message.into() })
    }

    /// The outcome of a technical fault.
    pub fn faulted(code: &str, message: impl Into<String>) -> Self {
        Self::Faulted(Fault { code: code.to_owned(), message: message.into() })
    }

    /// The same outcome with another reply type.
    pub fn map<S>(self, f: impl FnOnce(R) -> S) -> Outcome<S> {
        match self {
            Self::Done { reply } => Outcome::Done { reply: f(reply) },
            Self::Refused(refusal) => Outcome::Refused(refusal),
            Self::Faulted(fault) => Outcome::Faulted(fault),
        }
    }
}

/// A business refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The stable code, one of the constants beside each domain's messages.
    pub code: String,
    /// The explanation for people.
    pub message: String,
}

/// A technical fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The stable code, one of the `FAULT_` constants.
    pub code: String,
    /// The explanation for people.
    pub message: String,
}

/// The refusal of an action whose compensation came first (S8).
pub const REFUSED_STEP_COMPENSATED: &str = "step_compensated";
/// The fault of a command that had expired when a worker took it up. It was not started, and counts as no attempt.
pub const FAULT_COMMAND_EXPIRED: &str = "command_expired";
/// The fault of a handler that failed on its database or another dependency.
pub const FAULT_DEPENDENCY_FAILED: &str = "dependency_failed";
/// The fault of a message that ended in the dead letters.
pub const FAULT_COMMAND_DEAD_LETTERED: &str = "command_dead_lettered";
