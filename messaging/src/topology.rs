//! Every exchange, queue and binding of Sojourn, named in one place.
//!
//! ```text
//!  commands     (direct)  --"flights"--------------> commands.flights        recoverable
//!  replies      (direct)  --"replies.7"------------> replies.7               recoverable
//!                         --"orchestrator.<id>"----> orchestrator.<id>       exclusive, goes with its owner
//!                         --"workers"--------------> worker.<id>, of each    exclusive, goes with its owner
//!  events       (topic)   --"order.*"--------------> events.feed             durable
//!  dead-letters (fanout)  -------------------------> dead-letters            durable
//! ```
//!
//! Names in code are the logical ones. An adapter puts its [`Namespace`] in front of each on the wire, so
//! that many tests, or several installations, can share one broker.

use std::fmt;

/// How often a message may be handed out again before the broker moves it to the dead letters.
///
/// Only a crash, a lost connection or an explicit requeue counts; faults of a handler are replied, not
/// redelivered. Twenty outlives a rolling restart of every consumer (and equals RabbitMQ 4's default), yet
/// a message that kills its consumer cannot keep doing so for long.
pub const DELIVERY_LIMIT: u32 = 20;

/// The delivery limit of the dead-letter queue itself: out of reach, because behind it there is nothing.
///
/// A number and not "none", since RabbitMQ 4 would apply its default of 20 and then drop the message.
pub const DEAD_LETTER_DELIVERY_LIMIT: u32 = 1_000_000_000;

/// How many messages a queue holds before it refuses more.
///
/// Refused publishes come back as not confirmed and stay outstanding with their owner. At 600 bytes each,
/// this is some 600 MB of disk: far above any backlog that admission lets through, below what hurts a broker.
pub const QUEUE_LENGTH_MAX: u32 = 1_000_000;

/// The queue that holds the messages that no consumer could take.
const DEAD_LETTERS: &str = "dead-letters";

/// The routing key, on `replies`, of what every worker process hears.
pub const EVERY_WORKER: &str = "workers";

/// The log line for a queue that exists with other arguments than it is declared with. Its arguments can never be
/// changed, and the messages in it are worth more than the difference.
pub(crate) const EXISTS_OTHERWISE: &str = "a queue exists with other arguments than declared, and is used as it is";

/// The exchanges of Sojourn. A closed set: no message is published anywhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Exchange {
    /// Direct: a command goes to the queue of one domain.
    Commands,
    /// Direct: a reply (or another message to a lane) goes to the queue of one shard, or of one orchestrator.
    Replies,
    /// Topic: a domain event goes to every subscriber to its kind.
    Events,
    /// Fanout: a message that cannot be decoded, or was delivered too often, goes to the dead letters.
    DeadLetters,
}

/// How an exchange picks the queues of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routing {
    Direct,
    Topic,
    Fanout,
}

impl Exchange {
    /// Every exchange, in the order in which they are declared.
    pub const ALL: [Self; 4] = [Self::Commands, Self::Replies, Self::Events, Self::DeadLetters];

    /// The logical name, as it stands on the wire behind the namespace.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Replies => "replies",
            Self::Events => "events",
            Self::DeadLetters => DEAD_LETTERS,
        }
    }

    /// The exchange with this logical name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|exchange| exchange.name() == name)
    }

    /// Whether a message that no queue takes is an error. An event may have no subscriber.
    pub(crate) const fn is_mandatory(self) -> bool {
        match self {
            Self::Commands | Self::Replies | Self::DeadLetters => true,
            Self::Events => false,
        }
    }

    /// Whether its messages are in no other place than the broker.
    pub(crate) const fn is_durable(self) -> bool {
        match self {
            Self::Events | Self::DeadLetters => true,
            Self::Commands | Self::Replies => false,
        }
    }

    pub(crate) const fn routing(self) -> Routing {
        match self {
            Self::Commands | Self::Replies => Routing::Direct,
            Self::Events => Routing::Topic,
            Self::DeadLetters => Routing::Fanout,
        }
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The logical name of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueName(String);

impl QueueName {
    /// The queue from which the workers of a domain take commands.
    #[must_use]
    pub fn commands(domain: &str) -> Self {
        Self(format!("commands.{domain}"))
    }

    /// The queue from which a shard's lane takes replies, and all else that its sagas must hear.
    #[must_use]
    pub fn replies(shard: impl fmt::Display) -> Self {
        Self(format!("replies.{shard}"))
    }

    /// The queue of one subscriber to events.
    #[must_use]
    pub fn events(subscriber: &str) -> Self {
        Self(format!("events.{subscriber}"))
    }

    /// The transient queue of one running orchestrator. `instance` must differ on every start.
    #[must_use]
    pub fn orchestrator(instance: &str) -> Self {
        Self(format!("orchestrator.{instance}"))
    }

    /// The transient queue of one running worker process. `instance` must differ on every start.
    #[must_use]
    pub fn worker(instance: &str) -> Self {
        Self(format!("worker.{instance}"))
    }

    /// The queue that holds the messages that no consumer could take.
    #[must_use]
    pub fn dead_letters() -> Self {
        Self(DEAD_LETTERS.to_owned())
    }

    /// A queue by its logical name, as read from a header or typed by an operator.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The prefix of every name on the wire. Empty for the one real installation of a broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Namespace(String);

impl Namespace {
    /// The namespace without a prefix.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// A prefix, set off from the name by a dot.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self(prefix.into())
    }

    /// The name on the wire for a logical name.
    #[must_use]
    pub fn qualify(&self, name: &str) -> String {
        if self.0.is_empty() { name.to_owned() } else { format!("{}.{name}", self.0) }
    }

    /// The logical name for a name on the wire; `None` when it belongs to another namespace.
    #[must_use]
    pub fn strip<'a>(&self, wire_name: &'a str) -> Option<&'a str> {
        if self.0.is_empty() { Some(wire_name) } else { wire_name.strip_prefix(&self.0)?.strip_prefix('.') }
    }
}

/// How long a queue lives and how well its messages are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Messages survive the broker. For those that only the broker has: events and dead letters.
    Durable,
    /// Messages may go with a broker that ends, as the installation chose. For those that their publisher sends again:
    /// the journal brings commands back, and the inbox brings replies back.
    Recoverable,
    /// The queue belongs to the client that declared it and goes when that client goes. For messages that can be lost.
    Exclusive,
}

/// From which exchange, under which key (for `events`: which pattern), a queue is fed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The exchange that messages come from.
    pub exchange: Exchange,
    /// The routing key, or for the topic exchange a pattern with `*` (one word) and `#` (any number of words).
    pub key: String,
}

/// A queue as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDeclaration {
    /// The logical name of the queue.
    pub name: QueueName,
    /// How long the queue lives, and how well its messages are kept.
    pub durability: Durability,
    /// The bindings by which messages reach the queue.
    pub bindings: Vec<Binding>,
    /// After so many redeliveries a message goes to the dead letters.
    pub delivery_limit: u32,
    /// So many messages fit; then publishing to it is refused.
    pub length_max: u32,
}

impl QueueDeclaration {
    fn new(name: QueueName, durability: Durability, bindings: Vec<Binding>) -> Self {
        Self { name, durability, bindings, delivery_limit: DELIVERY_LIMIT, length_max: QUEUE_LENGTH_MAX }
    }
}

/// The queues that must exist before a program publishes or subscribes.
///
/// The four exchanges and the dead-letter queue belong to every topology, so that no queue can exist
/// without its dead-letter route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    queues: Vec<QueueDeclaration>,
}

impl Default for Topology {
    fn default() -> Self {
        Self::new()
    }
}

impl Topology {
    /// The exchanges and the dead-letter queue.
    #[must_use]
    pub fn new() -> Self {
        let binding = Binding { exchange: Exchange::DeadLetters, key: String::new() };
        let mut dead_letters = QueueDeclaration::new(QueueName::dead_letters(), Durability::Durable, vec![binding]);
        dead_letters.delivery_limit = DEAD_LETTER_DELIVERY_LIMIT;
        Self { queues: vec![dead_letters] }
    }

    /// The command queue of a domain; the routing key is the domain's name.
    #[must_use]
    pub fn with_commands(self, domain: &str) -> Self {
        let binding = Binding { exchange: Exchange::Commands, key: domain.to_owned() };
        self.with_queue(QueueDeclaration::new(QueueName::commands(domain), Durability::Recoverable, vec![binding]))
    }

    /// The reply queue of a shard; the routing key is the queue's name, which is what a command's
    /// `reply_to` carries.
    #[must_use]
    pub fn with_replies(self, shard: impl fmt::Display) -> Self {
        let name = QueueName::replies(shard);
        let binding = Binding { exchange: Exchange::Replies, key: name.as_str().to_owned() };
        self.with_queue(QueueDeclaration::new(name, Durability::Recoverable, vec![binding]))
    }

    /// The queue of a subscriber to events whose kind matches one of the patterns.
    #[must_use]
    pub fn with_events(self, subscriber: &str, patterns: &[&str]) -> Self {
        let bindings =
            patterns.iter().map(|pattern| Binding { exchange: Exchange::Events, key: (*pattern).to_owned() }).collect();
        self.with_queue(QueueDeclaration::new(QueueName::events(subscriber), Durability::Durable, bindings))
    }

    /// The transient queue of one running orchestrator; the routing key (on `replies`) is the queue's name.
    #[must_use]
    pub fn with_orchestrator(self, instance: &str) -> Self {
        let name = QueueName::orchestrator(instance);
        let binding = Binding { exchange: Exchange::Replies, key: name.as_str().to_owned() };
        self.with_queue(QueueDeclaration::new(name, Durability::Exclusive, vec![binding]))
    }

    /// The transient queue of one running worker process, which hears what all of them hear.
    #[must_use]
    pub fn with_worker(self, instance: &str) -> Self {
        let binding = Binding { exchange: Exchange::Replies, key: EVERY_WORKER.to_owned() };
        self.with_queue(QueueDeclaration::new(QueueName::worker(instance), Durability::Exclusive, vec![binding]))
    }

    /// Any further queue. One of the same name replaces the earlier declaration.
    #[must_use]
    pub fn with_queue(mut self, queue: QueueDeclaration) -> Self {
        self.queues.retain(|known| known.name != queue.name);
        self.queues.push(queue);
        self
    }

    /// The same topology with another delivery limit on every queue but the dead letters.
    #[must_use]
    pub fn with_delivery_limit(mut self, delivery_limit: u32) -> Self {
        for queue in self.bounded_queues() {
            queue.delivery_limit = delivery_limit;
        }
        self
    }

    /// The same topology with another length limit on every queue but the dead letters.
    #[must_use]
    pub fn with_length_max(mut self, length_max: u32) -> Self {
        for queue in self.bounded_queues() {
            queue.length_max = length_max;
        }
        self
    }

    /// The queues, the dead letters first.
    #[must_use]
    pub fn queues(&self) -> &[QueueDeclaration] {
        &self.queues
    }

    fn bounded_queues(&mut self) -> impl Iterator<Item = &mut QueueDeclaration> {
        self.queues.iter_mut().filter(|queue| queue.name != QueueName::dead_letters())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_put_in_front_of_a_name_and_taken_off_again() {
        let namespace = Namespace::new("test-7");
        assert_eq!(namespace.qualify("replies"), "test-7.replies");
        assert_eq!(namespace.strip("test-7.replies"), Some("replies"));
        assert_eq!(namespace.strip("test-70.replies"), None);
        assert_eq!(Namespace::none().qualify("replies"), "replies");
        assert_eq!(Namespace::none().strip("replies"), Some("replies"));
    }

    #[test]
    fn every_topology_has_the_dead_letter_queue_and_limits_leave_it_alone() {
        let topology = Topology::new().with_commands("flights").with_delivery_limit(2).with_length_max(3);
        let [dead_letters, flights] = topology.queues() else { panic!("two queues, not {topology:?}") };
        assert_eq!(
            (dead_letters.delivery_limit, dead_letters.length_max),
            (DEAD_LETTER_DELIVERY_LIMIT, QUEUE_LENGTH_MAX)
        );
        assert_eq!((flights.delivery_limit, flights.length_max), (2, 3));
    }

    #[test]
    fn an_exchange_is_found_by_its_name() {
        for exchange in Exchange::ALL {
            assert_eq!(Exchange::from_name(exchange.name()), Some(exchange));
        }
        assert_eq!(Exchange::from_name("amq.direct"), None);
    }
}
