//! The saga of a visa in two versions, and the policy that it may start as its child. A slot at the embassy is booked, the embassy takes
//! its time, and the passport is collected.
//!
//! ```text
//! book-slot ---> (pay-courier, version 1 only) ---> await-embassy (a time) ---> collect (pivot)
//!          \---> (insure: a policy, which waits for its doctor) --------------/
//! ```

use std::time::Duration;

use contract::{Command, Route};
use machine::{Builder, Catalog, Definition, DefinitionError, Retry, Wake};
use serde::{Deserialize, Serialize};

/// The definition's name.
pub(crate) const VISA: &str = "visa";

/// The step that waits for a time.
pub(crate) const AWAIT_EMBASSY: &str = "await-embassy";

/// The time that the embassy takes: longer than any test.
const DECIDED_AFTER: Duration = Duration::from_secs(3 * 3_600);
/// The time within which the doctor examines.
const EXAMINED_WITHIN: Duration = Duration::from_secs(20 * 3_600);
/// The time after which a saga is turned around.
const DEADLINE: Duration = Duration::from_secs(24 * 3_600);

/// Retries of version 1 that the deadline leaves no time for, so that the linter has something to find.
const TOO_PATIENT: Retry =
    Retry::exponential(Duration::from_secs(3_600)).cap(Duration::from_secs(3_600)).attempts_max(100);

/// The start input, of the policy too.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Application {
    pub(crate) visa: String,
    /// A courier is paid, under version 1.
    pub(crate) express: bool,
    /// A policy is written.
    pub(crate) insured: bool,
}

/// The reply to each command: it was noted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Noted {}

/// The payload of the signal that the policy waits for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Examined {}

/// A command to the visa desk.
pub(crate) trait OfVisa: Command<Reply = Noted> {
    fn visa(&self) -> &str;
}

/// Declares commands, each with its word on the wire.
macro_rules! commands {
    ($($name:ident = $word:literal),* $(,)?) => {$(
        #[derive(Debug, Clone, Serialize, Deserialize)]
        pub(crate) struct $name {
            visa: String,
        }

        impl $name {
            fn of(application: &Application) -> Self {
                Self { visa: application.visa.clone() }
            }
        }

        impl Command for $name {
            const NAME: &'static str = $word;
            const VERSION: u16 = 1;
            const ROUTE: Route = Route::Order;
            type Reply = Noted;
        }

        impl OfVisa for $name {
            fn visa(&self) -> &str {
                &self.visa
            }
        }
    )*};
}

commands! {
    BookSlot = "order.book_slot",
    CancelSlot = "order.cancel_slot",
    PayCourier = "order.pay_courier",
    RefundCourier = "order.refund_courier",
    WritePolicy = "order.write_policy",
    CancelPolicy = "order.cancel_policy",
    CollectPassport = "order.collect_passport",
}

/// Both versions, and the policy.
pub(crate) fn catalog() -> Catalog {
    Catalog::new([visa(1).unwrap(), visa(2).unwrap(), policy().unwrap()]).unwrap()
}

fn visa(version: u32) -> Result<Definition, Vec<DefinitionError>> {
    let mut saga = Builder::<Application>::new(VISA, version);
    saga.deadline(DEADLINE);
    let book = saga
        .step("book-slot")
        .command(|application, ()| BookSlot::of(application))
        .compensate(|application, _| CancelSlot::of(application));
    let book = if version == 1 { book.retry(TOO_PATIENT) } else { book }.add();
    let mut prepared = vec![book];
    if version == 1 {
        let courier = saga
            .step("pay-courier")
            .when(|application| application.express)
            .after([book])
            .command(|application, ()| PayCourier::of(application))
            .compensate(|application, _| RefundCourier::of(application));
        prepared.push(courier.add());
    }
    let decided = saga.step(AWAIT_EMBASSY).after(prepared).timer(|_, ()| Wake::After(DECIDED_AFTER)).add();
    let insured = saga
        .step("insure")
        .when(|application| application.insured)
        .after([book])
        .child("policy", 1, |application, ()| application.clone())
        .add();
    saga.step("collect")
        .pivot() // The passport has left the embassy.
        .after([decided, insured])
        .command(|application, ()| CollectPassport::of(application))
        .add();
    saga.build()
}

fn policy() -> Result<Definition, Vec<DefinitionError>> {
    let mut saga = Builder::<Application>::new("policy", 1);
    saga.deadline(DEADLINE);
    let written = saga
        .step("write-policy")
        .command(|application, ()| WritePolicy::of(application))
        .compensate(|application, _| CancelPolicy::of(application))
        .add();
    saga.step("await-doctor").after([written]).signal::<Examined>("examined").within(EXAMINED_WITHIN).add();
    saga.build()
}
