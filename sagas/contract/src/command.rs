//! What a command is, where it goes, and the three ways it can end.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A request that a saga sends to a domain. Implemented by every message type of the domains' modules.
pub trait Command: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name on the wire, `domain.verb_noun`; never derived from the Rust name.
    const NAME: &'static str;
    /// Raised when the payload changes in a way that old readers would misread.
    const VERSION: u16;
    /// The domain that carries it out.
    const ROUTE: Route;
    /// What a success answers.
    type Reply: Serialize + DeserializeOwned + Send + Sync + 'static;
}

/// The domains that take commands. Each has one queue, `commands.<domain>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// Registration, profiles.
    User,
    /// Orders and their history.
    Order,
    /// Stays.
    Accommodation,
    /// Flights.
    Flights,
    /// Money.
    Payment,
    /// Notifications.
    Feed,
}

impl Route {
    /// All of them, in the order of the architecture's picture.
    pub const ALL: [Self; 6] = [Self::User, Self::Order, Self::Accommodation, Self::Flights, Self::Payment, Self::Feed];

    /// The routing key and the domain's name everywhere.
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

/// How a command ended, as the participant answers it. No answer at all is not in here: a missing reply is an
/// unknown, and the orchestrator asks again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome<R> {
    /// It took effect.
    Done {
        /// What the participant says about it.
        reply: R,
    },
    /// A business no. It had no effect, and will be answered the same way however often it is asked (S10).
    Refused(Refusal),
    /// A technical failure. It had no effect, left no trace, and may be asked again.
    Faulted(Fault),
}

impl<R> Outcome<R> {
    /// A success.
    pub const fn done(reply: R) -> Self {
        Self::Done { reply }
    }

    /// A business no.
    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        Self::Refused(Refusal { code: code.to_owned(), message: message.into() })
    }

    /// A technical failure.
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

/// Why a business said no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A stable word, from the constants beside each domain's messages.
    pub code: String,
    /// For people.
    pub message: String,
}

/// What broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A stable word.
    pub code: String,
    /// For people.
    pub message: String,
}

/// The refusal of an action whose compensation came first (S8).
pub const REFUSED_COMPENSATED: &str = "compensated";
/// The fault of a command whose deadline had passed when a worker took it up.
pub const FAULT_EXPIRED: &str = "expired";
/// The fault of a handler that failed on its database or another dependency.
pub const FAULT_DEPENDENCY: &str = "dependency_failed";
/// The fault of a message that ended in the dead letters.
pub const FAULT_DEAD_LETTERED: &str = "dead_lettered";
