//! Builds a definition from typed functions, and reports every mistake of it at once.
//!
//! ```
//! # use machine::{Builder, Retry};
//! # use contract::{command::Route, Command};
//! # use std::time::Duration;
//! # #[derive(serde::Serialize, serde::Deserialize)] struct Trip { seats: u8 }
//! # #[derive(serde::Serialize, serde::Deserialize)] struct Hold { seats: u8 }
//! # #[derive(serde::Serialize, serde::Deserialize)] struct Held { reference: String }
//! # #[derive(serde::Serialize, serde::Deserialize)] struct Release {}
//! # #[derive(serde::Serialize, serde::Deserialize)] struct Confirm { reference: String }
//! # macro_rules! command { ($t:ty, $name:literal, $reply:ty) => { impl Command for $t {
//! #     const NAME: &'static str = $name; const VERSION: u16 = 1; const ROUTE: Route = Route::Flights; type Reply = $reply;
//! # } } }
//! # command!(Hold, "flights.hold", Held); command!(Release, "flights.release", Release); command!(Confirm, "flights.confirm", Confirm);
//! #[derive(Default)]
//! struct Facts { reference: String }
//!
//! let mut saga = Builder::<Trip, Facts>::new("trip", 1);
//! let hold = saga
//!     .step("hold")
//!     .command(|trip, _| Hold { seats: trip.seats })
//!     .on_reply(|facts, held| facts.reference.clone_from(&held.reference))
//!     .compensate(|_, _| Release {})
//!     .retry(Retry::exponential(Duration::from_millis(200)).attempts_max(5))
//!     .add();
//! saga.step("confirm")
//!     .after([hold])
//!     .pivot() // Once this is done the saga only goes forward.
//!     .command(|_, facts| Confirm { reference: facts.reference.clone() })
//!     .add();
//! let definition = saga.build().unwrap();
//! assert_eq!(definition.steps().len(), 2);
//! ```

mod checks;
mod mistakes;

use std::{marker::PhantomData, time::Duration};

use contract::{
    Command,
    command::Route,
    saga::{Cause, StepKind},
    step::StepName,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use mistakes::DefinitionError;

use crate::{
    definition::{Definition, Fingerprint},
    mapping::{self, BuildAction, BuildUndo, Condition, Learn},
    retry::Retry,
    step::{Misfit, Shape, Step, Undo, Work},
    step_set::{STEPS_MAX, StepSet},
};

/// Stands in for a name that is none, until the mistakes are reported.
const NAMELESS: &str = "nameless";

/// How long a reply is awaited when a step does not say: what a person would still wait for.
pub const REPLY_WITHIN_DEFAULT: Duration = Duration::from_secs(10);
/// The retries of a step that does not say: about a minute of faults.
pub const RETRY_DEFAULT: Retry =
    Retry::exponential(Duration::from_millis(200)).cap(Duration::from_secs(10)).attempts_max(12);
/// The retries of a compensation that does not say: giving up early helps nobody, a person would only press retry.
pub const COMPENSATION_RETRY_DEFAULT: Retry =
    Retry::exponential(Duration::from_millis(200)).cap(Duration::from_secs(10)).attempts_max(50);

/// Collects the steps of a definition. `I` is the start input; `F` are the facts that its steps learn from replies.
///
/// A step's command is built from the input and from what the steps before it (however far back) learned, in the
/// definition's order: neither the order of parallel replies nor a retry can change it.
pub struct Builder<I, F = ()> {
    name: String,
    version: u32,
    deadline: Option<Duration>,
    drafts: Vec<(DraftStep, Work)>,
    types: PhantomData<fn(I, F)>,
}

/// Names a step that was added, for [`StepBuilder::after`] of later ones; so a cycle cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepHandle {
    position: usize,
    /// Of the builder that made it.
    builder: u64,
}

/// One step under construction. Nothing is kept of it before [`StepBuilder::add`].
#[must_use = "a step is part of the definition only after `add()`"]
pub struct StepBuilder<'b, I, F, W> {
    builder: &'b mut Builder<I, F>,
    draft: DraftStep,
    work: W,
}

/// The work of a step that has none yet: it cannot be added.
pub struct NoWorkYet;

/// The work of a step that sends a command.
pub struct Sends<C> {
    signature: Signature,
    build: BuildAction,
    learn: Option<Learn>,
    command: PhantomData<fn() -> C>,
}

/// A step with everything but its work, free of its types.
struct DraftStep {
    /// As written; checked at the end.
    name: String,
    kind: StepKind,
    after: Vec<StepHandle>,
    when: Option<Condition>,
    undo: Option<(Signature, BuildUndo)>,
    retry: Retry,
    reply_within: Duration,
    undo_retry: Retry,
    undo_within: Duration,
    holds_for: Option<Duration>,
}

/// What the type of a command says about it.
struct Signature {
    name: &'static str,
    version: u16,
    route: Route,
    check_reply: fn(&Value) -> Result<(), Misfit>,
}

impl<I: DeserializeOwned + 'static, F: Default + 'static> Builder<I, F> {
    /// An empty definition.
    pub fn new(name: &str, version: u32) -> Self {
        Self { name: name.to_owned(), version, deadline: None, drafts: Vec::new(), types: PhantomData }
    }

    /// Gives the saga up after that time, unless its pivot was issued.
    pub fn deadline(&mut self, deadline: Duration) -> &mut Self {
        self.deadline = Some(deadline);
        self
    }

    /// Begins a step; compensatable, unless [`StepBuilder::pivot`] or [`StepBuilder::retriable`] says otherwise.
    pub fn step(&mut self, name: &str) -> StepBuilder<'_, I, F, NoWorkYet> {
        let draft = DraftStep {
            name: name.to_owned(),
            kind: StepKind::Compensatable,
            after: Vec::new(),
            when: None,
            undo: None,
            retry: RETRY_DEFAULT,
            reply_within: REPLY_WITHIN_DEFAULT,
            undo_retry: COMPENSATION_RETRY_DEFAULT,
            undo_within: REPLY_WITHIN_DEFAULT,
            holds_for: None,
        };
        StepBuilder { builder: self, draft, work: NoWorkYet }
    }

    /// The definition.
    ///
    /// # Errors
    /// Every mistake, in the order of the steps.
    pub fn build(self) -> Result<Definition, Vec<DefinitionError>> {
        let mut mistakes = Vec::new();
        let builder = self.id();
        let steps = assemble(self.drafts, builder, &mut mistakes);
        let mut definition = Definition {
            name: self.name,
            version: self.version,
            deadline: self.deadline,
            steps,
            fingerprint: Fingerprint::default(),
            read_input: mapping::read_any::<I>,
            new_facts: || Box::new(F::default()),
        };
        checks::check(&definition, &mut mistakes);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        definition.fingerprint = Fingerprint::of(&definition);
        Ok(definition)
    }

    /// Tells this builder's handles from another's: FNV-1a of the name and version.
    fn id(&self) -> u64 {
        let bytes = self.name.bytes().chain(self.version.to_be_bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }
}

impl<I: DeserializeOwned + 'static, F: Default + 'static, W> StepBuilder<'_, I, F, W> {
    /// It starts when all of these are done, or do not apply.
    pub fn after(mut self, steps: impl IntoIterator<Item = StepHandle>) -> Self {
        self.draft.after.extend(steps);
        self
    }

    /// The point of no return: once its command is issued the saga is only turned around by its refusal.
    pub const fn pivot(mut self) -> Self {
        self.draft.kind = StepKind::Pivot;
        self
    }

    /// After the pivot: must succeed in the end.
    pub const fn retriable(mut self) -> Self {
        self.draft.kind = StepKind::Retriable;
        self
    }

    /// It applies only to such inputs; otherwise it counts as done when what it depends on is.
    pub fn when(mut self, condition: fn(&I) -> bool) -> Self {
        self.draft.when = Some(mapping::erase_condition(condition));
        self
    }

    /// How often and how late its command is sent again.
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.draft.retry = retry;
        self
    }

    /// How long its reply is awaited before it is in doubt.
    pub const fn reply_within(mut self, time: Duration) -> Self {
        self.draft.reply_within = time;
        self
    }

    /// How often and how late its compensation is sent again.
    pub const fn compensation_retry(mut self, retry: Retry) -> Self {
        self.draft.undo_retry = retry;
        self
    }

    /// How long the compensation's reply is awaited before it is in doubt.
    pub const fn compensation_within(mut self, time: Duration) -> Self {
        self.draft.undo_within = time;
        self
    }

    /// What it sets aside is let go after that time: the saga's deadline and the time that the steps from the pivot
    /// on are given must fit in.
    pub const fn holds_for(mut self, time: Duration) -> Self {
        self.draft.holds_for = Some(time);
        self
    }

    /// What undoes it, built from nothing but the start input and the cause: a step whose reply was lost must be
    /// compensable too. Must succeed, without effect, when the step never happened.
    pub fn compensate<U: Command>(mut self, build: fn(&I, &Cause) -> U) -> Self {
        self.draft.undo = Some((Signature::of::<U>(), mapping::erase_undo(build)));
        self
    }
}

impl<'b, I: DeserializeOwned + 'static, F: Default + 'static> StepBuilder<'b, I, F, NoWorkYet> {
    /// What it asks a worker for. A definition is the same for every saga, so the function can keep nothing from
    /// where it is written:
    ///
    /// ```
    /// # use contract::{flights::HoldSeats, order::PlaceOrder};
    /// # let mut saga = machine::Builder::<PlaceOrder>::new("trip", 1);
    /// saga.step("hold").command(|order, ()| HoldSeats { order_id: order.order_id, offers: Vec::new() });
    /// ```
    ///
    /// ```compile_fail
    /// # use contract::{flights::HoldSeats, order::PlaceOrder};
    /// # let mut saga = machine::Builder::<PlaceOrder>::new("trip", 1);
    /// let offers = Vec::new();
    /// saga.step("hold").command(|order, ()| HoldSeats { order_id: order.order_id, offers: offers.clone() });
    /// ```
    pub fn command<C: Command>(self, build: fn(&I, &F) -> C) -> StepBuilder<'b, I, F, Sends<C>> {
        let Self { builder, draft, work: NoWorkYet } = self;
        let (signature, build) = (Signature::of::<C>(), mapping::erase_action(build));
        StepBuilder { builder, draft, work: Sends { signature, build, learn: None, command: PhantomData } }
    }
}

impl<I: DeserializeOwned + 'static, F: Default + 'static, C: Command> StepBuilder<'_, I, F, Sends<C>> {
    /// What the steps after it may know of its reply, which is that of its own command:
    ///
    /// ```
    /// # use contract::{flights::ConfirmSeats, order::PlaceOrder};
    /// # let mut saga = machine::Builder::<PlaceOrder, String>::new("trip", 1);
    /// # let confirm = saga.step("confirm").command(|order, _| {
    /// #     ConfirmSeats { order_id: order.order_id, travellers: order.travellers.clone() }
    /// # });
    /// confirm.on_reply(|reference, confirmed| reference.clone_from(&confirmed.booking_reference));
    /// ```
    ///
    /// ```compile_fail
    /// # use contract::{flights::ConfirmSeats, order::PlaceOrder};
    /// # let mut saga = machine::Builder::<PlaceOrder, String>::new("trip", 1);
    /// # let confirm = saga.step("confirm").command(|order, _| {
    /// #     ConfirmSeats { order_id: order.order_id, travellers: order.travellers.clone() }
    /// # });
    /// // The field is of another command's reply.
    /// confirm.on_reply(|reference, confirmed| reference.clone_from(&confirmed.provider_reference));
    /// ```
    pub fn on_reply(mut self, learn: fn(&mut F, &C::Reply)) -> Self {
        self.work.learn = Some(mapping::erase_learn::<F, C>(self.draft.name.clone(), learn));
        self
    }

    /// Makes it part of the definition.
    pub fn add(self) -> StepHandle {
        let Self { builder, draft, work } = self;
        let handle = StepHandle { position: builder.drafts.len(), builder: builder.id() };
        let Sends { signature, build, learn, .. } = work;
        let shape = signature.shape(draft.retry, draft.reply_within);
        builder.drafts.push((draft, Work::Command { shape, build, learn }));
        handle
    }
}

impl Signature {
    fn of<C: Command>() -> Self {
        Self { name: C::NAME, version: C::VERSION, route: C::ROUTE, check_reply: mapping::check::<C::Reply> }
    }

    fn shape(self, retry: Retry, reply_within: Duration) -> Shape {
        let Self { name, version, route, check_reply } = self;
        Shape { name, version, route, retry, reply_within, check_reply }
    }
}

/// Turns drafts into steps and finds what belongs before and behind each.
fn assemble(drafts: Vec<(DraftStep, Work)>, builder: u64, mistakes: &mut Vec<DefinitionError>) -> Vec<Step> {
    if drafts.len() > STEPS_MAX {
        mistakes.push(DefinitionError::TooManySteps { count: drafts.len() });
    }
    let mut steps: Vec<Step> = Vec::with_capacity(drafts.len());
    for (draft, work) in drafts.into_iter().take(STEPS_MAX) {
        let name = StepName::new(&draft.name).unwrap_or_else(|_| {
            mistakes.push(DefinitionError::BadStepName { name: draft.name.clone() });
            StepName::new(NAMELESS).expect("the stand-in is a step's name")
        });
        let mut before = StepSet::default();
        let mut ancestors = StepSet::default();
        for handle in draft.after {
            match steps.get(handle.position).filter(|_| handle.builder == builder) {
                Some(step) => {
                    before.insert(handle.position);
                    ancestors.insert(handle.position);
                    ancestors = ancestors.union(step.ancestors);
                }
                None => mistakes.push(DefinitionError::UnknownHandle { step: draft.name.clone() }),
            }
        }
        let position = steps.len();
        for (_, step) in steps.iter_mut().enumerate().filter(|(at, _)| ancestors.contains(*at)) {
            step.descendants.insert(position);
        }
        let after = steps.iter().enumerate().filter(|(at, _)| before.contains(*at));
        let after = after.map(|(_, step)| step.name.clone()).collect();
        let undo = draft
            .undo
            .map(|(signature, build)| Undo { shape: signature.shape(draft.undo_retry, draft.undo_within), build });
        let (kind, when, holds_for) = (draft.kind, draft.when, draft.holds_for);
        let descendants = StepSet::default();
        steps.push(Step { name, kind, after, before, ancestors, descendants, when, work, undo, holds_for });
    }
    steps
}
