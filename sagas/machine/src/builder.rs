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
//! saga.before_pivot(Retry::exponential(Duration::from_millis(200)).attempts_max(5));
//! let hold = saga
//!     .step("hold")
//!     .command(|trip, _| Hold { seats: trip.seats })
//!     .on_reply(|facts, held| facts.reference.clone_from(&held.reference))
//!     .compensate(|_, _| Release {})
//!     .add();
//! saga.step("confirm")
//!     .after([hold])
//!     .pivot() // Once this is done the saga only goes forward.
//!     .command(|_, facts| Confirm { reference: facts.reference.clone() })
//!     .add();
//! let definition = saga.build().unwrap();
//! assert_eq!(definition.steps().len(), 2);
//! ```

mod assemble;
mod checks;
mod mistakes;
mod shape;

use std::{fmt::Display, marker::PhantomData, time::Duration};

use chrono::{DateTime, Utc};
use contract::{
    Command,
    saga::{Cause, StepKind},
};
use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use self::assemble::{Defaults, ForwardParts, Signature, StepParts, Timing, assemble, closing_step};
pub use self::{assemble::StepHandle, mistakes::DefinitionError};
use crate::{
    definition::Definition,
    fingerprint::Fingerprint,
    mapping::{self, BuildAction, BuildUndo, BuildWake, Learn, ReadAttribute},
    reading::Reading,
    retry::Retry,
    step::ChildSpec,
    wake::Wake,
};

/// The time for which a reply is awaited when nothing else is said: as long as a person would still wait.
const REPLY_WITHIN_DEFAULT: Duration = Duration::from_secs(10);
/// The retries before the pivot when nothing else is said: about a minute of faults.
const BEFORE_PIVOT_DEFAULT: Retry =
    Retry::exponential(Duration::from_millis(200)).cap(Duration::from_secs(10)).attempts_max(12);
/// The retries of what must succeed when nothing else is said. They have no end: giving up would only make an operator
/// press retry.
const MUST_SUCCEED_DEFAULT: Retry = Retry::exponential(Duration::from_millis(200)).cap(Duration::from_secs(10));

/// Collects the steps of a definition. `I` is the start input; `F` are the facts that its steps learn from replies.
///
/// A step's command is built from the input and from what the steps before it (however far back) learned, in the
/// definition's order: neither the order of parallel replies nor a retry can change it.
pub struct Builder<I, F = ()> {
    name: String,
    version: u32,
    deadline: Option<Duration>,
    defaults: Defaults,
    result: Option<BuildAction>,
    steps: Vec<(StepParts, ForwardParts)>,
    closing: Option<(Signature, BuildUndo)>,
    attributes: Vec<(&'static str, ReadAttribute)>,
    types: PhantomData<fn(I, F)>,
}

/// One step under construction. Nothing is kept of it before [`StepBuilder::add`].
#[must_use = "a step is part of the definition only after `add()`"]
pub struct StepBuilder<'b, I, F, C> {
    builder: &'b mut Builder<I, F>,
    parts: StepParts,
    work: C,
}

/// Marks a step that has no work yet: it cannot be added.
pub struct NoWorkYet;

/// The command of a step, with its type.
pub struct Sends<C> {
    build: BuildAction,
    learn: Option<Learn>,
    timing: Timing,
    command: PhantomData<fn() -> C>,
}

/// The signal that a step waits for, with the type of its payload.
pub struct Awaits<P> {
    signal: String,
    within: Option<Duration>,
    is_optional: bool,
    learn: Option<Learn>,
    payload: PhantomData<fn() -> P>,
}

/// The child saga that a step starts.
pub struct Starts {
    child: ChildSpec,
    build: BuildAction,
    learn: Option<Learn>,
}

/// The time that a step waits for.
pub struct Sleeps {
    wake: BuildWake,
}

impl<I: DeserializeOwned + Send + Sync + 'static, F: Default + 'static> Builder<I, F> {
    /// A builder without any steps.
    pub fn new(name: &str, version: u32) -> Self {
        let defaults = Defaults {
            before_pivot: BEFORE_PIVOT_DEFAULT,
            must_succeed: MUST_SUCCEED_DEFAULT,
            reply_within: REPLY_WITHIN_DEFAULT,
        };
        Self {
            name: name.to_owned(),
            version,
            deadline: None,
            defaults,
            result: None,
            steps: Vec::new(),
            closing: None,
            attributes: Vec::new(),
            types: PhantomData,
        }
    }

    /// Gives the saga up after that time, unless its pivot was issued.
    pub fn deadline(&mut self, deadline: Duration) -> &mut Self {
        self.deadline = Some(deadline);
        self
    }

    /// The retries of the compensatable steps that do not say their own.
    pub fn before_pivot(&mut self, retry: Retry) -> &mut Self {
        self.defaults.before_pivot = retry;
        self
    }

    /// The retries of what must succeed in the end and does not say its own: the pivot, the steps after it and every
    /// compensation. They have no bound.
    pub fn must_succeed(&mut self, retry: Retry) -> &mut Self {
        self.defaults.must_succeed = retry;
        self
    }

    /// The time for which the replies to the commands and compensations are awaited that do not say their own.
    pub fn reply_within(&mut self, time: Duration) -> &mut Self {
        self.defaults.reply_within = time;
        self
    }

    /// Names the command that closes the business object of a saga which an operator gives up. It is sent even then, before
    /// the pivot and past it, and retried without end: the saga is abandoned once it took effect. It must succeed
    /// whatever the saga has done so far.
    pub fn on_abandon<C: Command>(&mut self, build: fn(&I, &Cause) -> C) -> &mut Self {
        self.closing = Some((Signature::of::<C>(), mapping::erase_undo(build)));
        self
    }

    /// Declares a search attribute, by which people find the sagas that share its value. It is read from the start input, once.
    /// A value is one word, such as an id or a day, and never a text that a person typed; the fewer sagas share it, the
    /// faster they are found.
    pub fn attribute<V: Display + 'static>(&mut self, name: &'static str, read: fn(&I) -> Option<V>) -> &mut Self {
        self.attributes.push((name, mapping::erase_attribute(read)));
        self
    }

    /// Sets the result that a saga of which this one is a child may learn when it completes.
    pub fn result<R: Serialize + 'static>(&mut self, result: fn(&I, &F) -> R) -> &mut Self {
        self.result = Some(mapping::erase_action(result));
        self
    }

    /// Begins a step; compensatable, unless [`StepBuilder::pivot`] or [`StepBuilder::retriable`] says otherwise.
    pub fn step(&mut self, name: &str) -> StepBuilder<'_, I, F, NoWorkYet> {
        let parts = StepParts {
            name: name.to_owned(),
            kind: StepKind::Compensatable,
            after: Vec::new(),
            when: None,
            needed: None,
            holds_for: None,
            validity: None,
            extension: None,
            renews: Vec::new(),
            undo: None,
            undo_timing: Timing::default(),
        };
        StepBuilder { builder: self, parts, work: NoWorkYet }
    }

    /// Makes the definition.
    ///
    /// # Errors
    /// All mistakes of it, in the order of the steps.
    pub fn build(self) -> Result<Definition, Vec<DefinitionError>> {
        let mut mistakes = Vec::new();
        let builder = self.id();
        let steps = assemble(self.steps, &self.defaults, builder, &mut mistakes);
        let closing = self.closing.map(|(signature, build)| closing_step(signature, build, &self.defaults));
        let mut definition = Definition {
            name: self.name,
            version: self.version,
            deadline: self.deadline,
            steps,
            closing,
            fingerprint: Fingerprint::default(),
            read_input: mapping::read_any::<I>,
            result: self.result,
            attributes: self.attributes,
            new_facts: || Box::new(F::default()),
        };
        checks::check(&definition, &mut mistakes);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        definition.fingerprint = Fingerprint::of_shape(&shape::shape_text(&definition));
        Ok(definition)
    }

    fn push(&mut self, parts: StepParts, forward: ForwardParts) -> StepHandle {
        let handle = StepHandle { position: self.steps.len(), builder: self.id() };
        self.steps.push((parts, forward));
        handle
    }

    /// Tells this builder's handles from another's: FNV-1a of the name and version.
    fn id(&self) -> u64 {
        let bytes = self.name.bytes().chain(self.version.to_be_bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }
}

impl<I: DeserializeOwned + Send + Sync + 'static, F: Default + 'static, C> StepBuilder<'_, I, F, C> {
    /// Lets the step start when all of these are done, or do not apply.
    pub fn after(mut self, steps: impl IntoIterator<Item = StepHandle>) -> Self {
        self.parts.after.extend(steps);
        self
    }

    /// Makes the step the point of no return: once its command is issued the saga is only turned around by its refusal.
    pub const fn pivot(mut self) -> Self {
        self.parts.kind = StepKind::Pivot;
        self
    }

    /// Puts the step after the pivot: it must succeed in the end.
    pub const fn retriable(mut self) -> Self {
        self.parts.kind = StepKind::Retriable;
        self
    }

    /// Lets the step apply only to such inputs; for others it counts as done when its dependencies are.
    pub fn when(mut self, condition: fn(&I) -> bool) -> Self {
        self.parts.when = Some(mapping::erase_condition(condition));
        self
    }

    /// Lets the step do its work only where it turns out to be needed. It is asked once, when all before it is done, and
    /// may look at what those steps learned; a step that is not needed counts as done. A pivot has no such condition.
    pub fn if_needed(mut self, needed: fn(&I, &F) -> bool) -> Self {
        self.parts.needed = Some(mapping::erase_needed(needed));
        self
    }

    /// Sets how often and how late the step's compensation is sent again.
    pub const fn compensation_retry(mut self, retry: Retry) -> Self {
        self.parts.undo_timing.retry = Some(retry);
        self
    }

    /// Sets how long the compensation's reply is awaited before it is in doubt.
    pub const fn compensation_within(mut self, time: Duration) -> Self {
        self.parts.undo_timing.reply_within = Some(time);
        self
    }

    /// Sets the command that undoes the step, built from nothing but the start input and the cause: a step whose reply
    /// was lost must be compensable too. The command must succeed, without effect, when the step never happened.
    pub fn compensate<U: Command>(mut self, build: fn(&I, &Cause) -> U) -> Self {
        self.parts.undo = Some((Signature::of::<U>(), mapping::erase_undo(build)));
        self
    }
}

impl<'b, I: DeserializeOwned + Send + Sync + 'static, F: Default + 'static> StepBuilder<'b, I, F, NoWorkYet> {
    /// Sets the command that the step sends to a worker. A definition is the same for every saga, so the function can
    /// keep nothing from where it is written:
    ///
    /// ```
    /// # use contract::{flights::HoldSeats, order::PlaceOrder};
    /// # let mut saga = machine::Builder::<PlaceOrder>::new("trip", 1);
    /// saga.step("hold").command(|order, ()| HoldSeats { order_id: order.order_id, offers: Vec::new(), travellers: 2 });
    /// ```
    ///
    /// ```compile_fail
    /// # use contract::{flights::HoldSeats, order::PlaceOrder};
    /// # let mut saga = machine::Builder::<PlaceOrder>::new("trip", 1);
    /// let offers = Vec::new();
    /// saga.step("hold").command(|order, ()| HoldSeats { order_id: order.order_id, offers: offers.clone(), travellers: 2 });
    /// ```
    pub fn command<C: Command>(self, build: fn(&I, &F) -> C) -> StepBuilder<'b, I, F, Sends<C>> {
        let Self { builder, parts, work: NoWorkYet } = self;
        let (build, timing) = (mapping::erase_action(build), Timing::default());
        StepBuilder { builder, parts, work: Sends { build, learn: None, timing, command: PhantomData } }
    }

    /// Lets the step wait for a signal with a payload of type `P`. It needs no compensation, because it holds nothing.
    pub fn signal<P: DeserializeOwned + Send + Sync + 'static>(self, name: &str) -> StepBuilder<'b, I, F, Awaits<P>> {
        let Self { builder, parts, work: NoWorkYet } = self;
        let work =
            Awaits { signal: name.to_owned(), within: None, is_optional: false, learn: None, payload: PhantomData };
        StepBuilder { builder, parts, work }
    }

    /// Lets the step start another saga, its child, and wait for its end. A child that is compensated refuses the step.
    /// The step is undone by undoing the child, which therefore must have no pivot when the step is compensatable.
    pub fn child<C: Serialize + 'static>(
        self,
        name: &'static str,
        version: u32,
        input: fn(&I, &F) -> C,
    ) -> StepBuilder<'b, I, F, Starts> {
        let Self { builder, parts, work: NoWorkYet } = self;
        let child = ChildSpec { name, version, margin: Duration::ZERO, result: Reading::of::<IgnoredAny>() };
        let build = mapping::erase_action(input);
        StepBuilder { builder, parts, work: Starts { child, build, learn: None } }
    }

    /// Lets the step wait for a time, which is asked for when the step is reached. It needs no compensation.
    pub fn timer(self, wake: fn(&I, &F) -> Wake) -> StepBuilder<'b, I, F, Sleeps> {
        let Self { builder, parts, work: NoWorkYet } = self;
        StepBuilder { builder, parts, work: Sleeps { wake: mapping::erase_wake(wake) } }
    }
}

impl<I: DeserializeOwned + Send + Sync + 'static, F: Default + 'static, C: Command> StepBuilder<'_, I, F, Sends<C>> {
    /// Keeps what the steps after this one may know of its reply, which is that of its own command:
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
        self.work.learn = Some(mapping::erase_learn::<F, C::Reply>(self.parts.name.clone(), learn));
        self
    }

    /// Sets how often and how late the step's command is sent again.
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.work.timing.retry = Some(retry);
        self
    }

    /// Sets how long the reply is awaited before the step is in doubt.
    pub const fn reply_within(mut self, time: Duration) -> Self {
        self.work.timing.reply_within = Some(time);
        self
    }

    /// Reads from the reply until when what the step holds is valid. The pivot is issued only while it is.
    pub fn valid_until(mut self, read: fn(&C::Reply) -> Option<DateTime<Utc>>) -> Self {
        self.parts.validity = Some(mapping::erase_validity(read));
        self
    }

    /// Sets the command that makes what the step holds last longer, and reads from its reply until when. It may know what
    /// the step itself learned too.
    pub fn extend<E: Command>(mut self, build: fn(&I, &F) -> E, read: fn(&E::Reply) -> Option<DateTime<Utc>>) -> Self {
        let validity = mapping::erase_validity(read);
        self.parts.extension = Some((Signature::of::<E>(), mapping::erase_action(build), validity));
        self
    }

    /// Says that once the step is done its hold takes the place of those of these steps, which come before it.
    pub fn renews(mut self, steps: impl IntoIterator<Item = StepHandle>) -> Self {
        self.parts.renews.extend(steps);
        self
    }

    /// Says that the participant lets go of what the step holds after that time. The saga's deadline and the reply
    /// times of the steps from the pivot on must fit in.
    pub const fn holds_for(mut self, time: Duration) -> Self {
        self.parts.holds_for = Some(time);
        self
    }

    /// Makes the step part of the definition.
    pub fn add(self) -> StepHandle {
        let Self { builder, parts, work: Sends { build, learn, timing, .. } } = self;
        builder.push(parts, ForwardParts::Command { signature: Signature::of::<C>(), timing, build, learn })
    }
}

impl<I, F, P> StepBuilder<'_, I, F, Awaits<P>>
where
    I: DeserializeOwned + Send + Sync + 'static,
    F: Default + 'static,
    P: DeserializeOwned + Send + Sync + 'static,
{
    /// Sets the time within which the signal must come, from when the step is reached. A signal that is missed counts
    /// as a business refusal of the step.
    pub const fn within(mut self, time: Duration) -> Self {
        self.work.within = Some(time);
        self
    }

    /// Lets the saga go on without the signal when it is missed, as if the step were not needed. A step behind it finds out
    /// itself what the signal would have told.
    pub const fn or_go_on(mut self) -> Self {
        self.work.is_optional = true;
        self
    }

    /// Keeps what the steps after this one may know of the signal's payload.
    pub fn on_signal(mut self, learn: fn(&mut F, &P)) -> Self {
        self.work.learn = Some(mapping::erase_learn::<F, P>(self.parts.name.clone(), learn));
        self
    }

    /// Makes the step part of the definition.
    pub fn add(self) -> StepHandle {
        let Self { builder, parts, work: Awaits { signal: name, within, is_optional, learn, .. } } = self;
        builder.push(parts, ForwardParts::Signal { name, within, is_optional, payload: Reading::of::<P>(), learn })
    }
}

impl<I: DeserializeOwned + Send + Sync + 'static, F: Default + 'static> StepBuilder<'_, I, F, Starts> {
    /// Sets the time that the child needs up to its own point of no return. A pivot is not started when what is held for it
    /// lapses sooner.
    pub const fn margin(mut self, time: Duration) -> Self {
        self.work.child.margin = time;
        self
    }

    /// Keeps what the steps after this one may know of the child's result.
    pub fn on_end<R: DeserializeOwned + Send + Sync + 'static>(mut self, learn: fn(&mut F, &R)) -> Self {
        self.work.learn = Some(mapping::erase_learn::<F, R>(self.parts.name.clone(), learn));
        self.work.child.result = Reading::of::<R>();
        self
    }

    /// Makes the step part of the definition.
    pub fn add(self) -> StepHandle {
        let Self { builder, parts, work: Starts { child, build, learn } } = self;
        builder.push(parts, ForwardParts::Child { child, build, learn })
    }
}

impl<I: DeserializeOwned + Send + Sync + 'static, F: Default + 'static> StepBuilder<'_, I, F, Sleeps> {
    /// Makes the step part of the definition.
    pub fn add(self) -> StepHandle {
        let Self { builder, parts, work: Sleeps { wake } } = self;
        builder.push(parts, ForwardParts::Timer { wake })
    }
}
