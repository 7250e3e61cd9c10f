//! A domain as a worker runs it: its handlers by name, its tables, its reads and its background work.

use std::{collections::BTreeMap, error::Error, fmt, future::Future, pin::Pin, sync::Arc};

use axum::Router;
use contract::{
    Outcome,
    command::{Command, Route},
    event::Event,
};
use kit::clock::Clock;
use serde_json::value::RawValue;
use sqlx::{PgPool, migrate::Migrator};
use tokio_util::sync::CancellationToken;

use crate::{
    erased::{self, AnyCommand, AnyHandler, StoredOutcome},
    events::{
        handler::{EventHandler, RegisteredEvent, Subscriptions},
        outbox::Events,
    },
    handler::{Handler, OutsideHandler},
    handler_error::HandlerError,
    lock_order::{AnyLockOrder, LockOrder},
    retention::Retention,
};

/// The ground that a domain's reads and background work stand on.
#[derive(Clone)]
pub struct Resources {
    /// The domain's own database: by the connections for reads, or by those for background work.
    pub pool: PgPool,
    /// The clock that every time of the domain comes from.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when the worker stops.
    pub token: CancellationToken,
    /// The event outbox, for events that no command causes, such as a hold's expiry.
    pub events: Events,
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources").finish_non_exhaustive()
    }
}

pub(crate) type Background = Box<dyn FnOnce(Resources) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;
pub(crate) type Check = Box<dyn FnOnce(Resources) -> Pin<Box<dyn Future<Output = CheckResult> + Send>> + Send>;
type CheckResult = Result<(), Box<dyn Error + Send + Sync>>;
pub(crate) type Reads = Box<dyn FnOnce(&Resources) -> Router + Send>;
type Decode = fn(&RawValue) -> Result<AnyCommand, serde_json::Error>;
type NullReply = Box<dyn Fn(&RawValue) -> Result<StoredOutcome, HandlerError> + Send + Sync>;

/// A domain: give it to [`crate::start`].
pub struct Domain {
    pub(crate) route: Route,
    pub(crate) migrator: &'static Migrator,
    pub(crate) commands: Commands,
    pub(crate) lock_order: Option<Box<dyn AnyLockOrder>>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) retentions: Vec<Retention>,
    pub(crate) reads: Option<Reads>,
    pub(crate) checks: Vec<Check>,
    pub(crate) setups: Vec<Background>,
    pub(crate) background: Vec<Background>,
}

/// The handlers by the command's name on the wire and its version: sagas of an old version are served beside new ones.
pub(crate) type Commands = BTreeMap<(&'static str, u16), Arc<Registered>>;

/// One command that a domain carries out.
pub(crate) struct Registered {
    pub(crate) name: &'static str,
    pub(crate) version: u16,
    pub(crate) decode: Decode,
    pub(crate) handler: AnyHandler,
    /// For compensations: what is answered when there is nothing to undo (S7, S10).
    pub(crate) null_reply: Option<NullReply>,
}

impl Domain {
    /// A domain without commands. `migrator` makes its tables, in the database `sojourn_<route>`.
    #[must_use]
    pub fn new(route: Route, migrator: &'static Migrator) -> Self {
        Self {
            route,
            migrator,
            commands: BTreeMap::new(),
            lock_order: None,
            subscriptions: Subscriptions::new(),
            retentions: Vec::new(),
            reads: None,
            checks: Vec::new(),
            setups: Vec::new(),
            background: Vec::new(),
        }
    }

    /// The domain's name.
    #[must_use]
    pub const fn route(&self) -> Route {
        self.route
    }

    /// Carries out `C`, which has no undo or whose undo is another command.
    #[must_use]
    pub fn action<C: Command>(self, handler: impl Handler<C>) -> Self {
        self.with::<C>(AnyHandler::local::<C>(handler), None)
    }

    /// Undoes with `C` what the same step's action did. `null_reply` is the answer when the action never took effect:
    /// then the handler is not called, no business row changes, and the action is kept from ever happening.
    ///
    /// A saga may also send `C` as an action of its own; then it is handled like one.
    #[must_use]
    pub fn compensation<C: Command>(self, handler: impl Handler<C>, null_reply: fn(&C) -> C::Reply) -> Self {
        self.with::<C>(AnyHandler::local::<C>(handler), Some(null::<C>(null_reply)))
    }

    /// Carries out `C` with somebody outside.
    #[must_use]
    pub fn outside_action<C: Command>(self, handler: impl OutsideHandler<C>) -> Self {
        self.with::<C>(AnyHandler::outside::<C>(handler), None)
    }

    /// Undoes with `C` and somebody outside; see [`Domain::compensation`] and [`OutsideHandler`].
    #[must_use]
    pub fn outside_compensation<C: Command>(
        self,
        handler: impl OutsideHandler<C>,
        null_reply: fn(&C) -> C::Reply,
    ) -> Self {
        self.with::<C>(AnyHandler::outside::<C>(handler), Some(null::<C>(null_reply)))
    }

    /// Without the versions of commands above this one, for tests in which an earlier program takes part.
    #[must_use]
    pub fn up_to(mut self, version: u16) -> Self {
        self.commands.retain(|(_, known), _| *known <= version);
        self
    }

    /// Locks the rows of a batch with commands of several kinds in one order; see [`LockOrder`].
    #[must_use]
    pub fn lock_order(mut self, lock_order: impl LockOrder) -> Self {
        self.lock_order = Some(Box::new(lock_order));
        self
    }

    /// Subscribes to `E`: each one takes effect here once, however often it is delivered; see [`EventHandler`]. A domain
    /// has one queue for all its subscriptions, `events.<domain>`, which keeps what arrives while no worker runs.
    ///
    /// # Panics
    /// When an event is subscribed to twice, or does not name this domain among its subscribers, so that it would not be
    /// told: both are mistakes of the program's text.
    #[must_use]
    pub fn on<E: Event>(mut self, handler: impl EventHandler<E>) -> Self {
        assert!(E::SUBSCRIBERS.contains(&self.route), "`{}` does not know of this subscriber", E::NAME);
        let before = self.subscriptions.insert(E::NAME, Arc::new(RegisteredEvent::of(handler)));
        assert!(before.is_none(), "`{}` is subscribed to twice", E::NAME);
        self
    }

    /// Removes rows when they have ended for so long.
    #[must_use]
    pub fn keep(mut self, retention: Retention) -> Self {
        self.retentions.push(retention);
        self
    }

    /// Serves reads under `/internal/<domain>/`; the routes of the router start after that.
    #[must_use]
    pub fn http(mut self, reads: impl FnOnce(&Resources) -> Router + Send + 'static) -> Self {
        self.reads = Some(Box::new(reads));
        self
    }

    /// Looks at the domain's data before anything else is done with it: an error keeps the worker from starting.
    #[must_use]
    pub fn check<F>(mut self, check: impl FnOnce(Resources) -> F + Send + 'static) -> Self
    where
        F: Future<Output = CheckResult> + Send + 'static,
    {
        self.checks.push(Box::new(move |resources| Box::pin(check(resources))));
        self
    }

    /// Runs to its end before the domain takes commands, serves reads or is ready: for data that everything else needs.
    #[must_use]
    pub fn setup<F>(mut self, task: impl FnOnce(Resources) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.setups.push(Box::new(move |resources| Box::pin(task(resources))));
        self
    }

    /// Runs beside the commands until the token of the resources is cancelled; has to sleep until something is due.
    #[must_use]
    pub fn background<F>(mut self, task: impl FnOnce(Resources) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.background.push(Box::new(move |resources| Box::pin(task(resources))));
        self
    }

    /// # Panics
    /// When a version of a command is registered twice or belongs to another domain: both are mistakes of the program's text.
    fn with<C: Command>(mut self, handler: AnyHandler, null_reply: Option<NullReply>) -> Self {
        assert_eq!(C::ROUTE, self.route, "`{}` belongs to another domain", C::NAME);
        let registered =
            Registered { name: C::NAME, version: C::VERSION, decode: erased::decode::<C>, handler, null_reply };
        let before = self.commands.insert((C::NAME, C::VERSION), Arc::new(registered));
        assert!(before.is_none(), "`{}` version {} is registered twice", C::NAME, C::VERSION);
        self
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Domain")
            .field("route", &self.route)
            .field("commands", &self.commands.keys().collect::<Vec<_>>())
            .field("subscriptions", &self.subscriptions.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn null<C: Command>(null_reply: fn(&C) -> C::Reply) -> NullReply {
    Box::new(move |payload| {
        let command = serde_json::from_str::<C>(payload.get())
            .map_err(|error| HandlerError::fault(format!("the command is not readable: {error}")))?;
        StoredOutcome::of(&Outcome::done(null_reply(&command)))
    })
}
