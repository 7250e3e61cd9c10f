//! The parts of the installation that stand behind the door.

use contract::Route;

/// A part of the installation that the gateway calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Orchestrator,
    /// The operators' pages.
    Dashboard,
    /// The workers of a domain.
    Domain(Route),
}

impl Part {
    /// The name in addresses, logs, metrics and problems.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Orchestrator => "orchestrator",
            Self::Dashboard => "dashboard",
            Self::Domain(route) => route.as_str(),
        }
    }

    /// True for a part without which the door is not ready. Orders are taken while payments are away, and wait for them (S29);
    /// only the reading of a payment is missed meanwhile. Clients need no page of the operators.
    pub(crate) const fn is_needed(self) -> bool {
        !matches!(self, Self::Domain(Route::Payment) | Self::Dashboard)
    }

    /// True for a part whose failures are pages for people, which pass as they are.
    pub(crate) const fn answers_in_pages(self) -> bool {
        matches!(self, Self::Dashboard)
    }

    /// An orchestrator without its shards takes nothing in, nor does one whose broker is away for longer than a restart takes. A worker's
    /// reads and logins need no broker.
    pub(crate) const fn look_at(self) -> &'static str {
        match self {
            Self::Orchestrator => "/ready",
            Self::Domain(_) | Self::Dashboard => "/health",
        }
    }
}
