//! The participant kit: what turns a plain function over a transaction into a saga's participant.
//!
//! ```text
//!  commands.<domain> --batch--> decode --> [ ONE transaction: inbox? handler, inbox row, events ] --> commit
//!        ^                        |                                                                    |
//!        |                        '-- unreadable --> dead letters                                      v
//!        '------------------------------- ack <----------------------------------- replies to reply_to
//! ```
//!
//! A domain crate writes handlers and registers them on a [`Domain`]; it never sees the broker, the inbox or the
//! outbox. What the runtime promises in return are the invariants S5 to S12 of the participant barrier: an action
//! or a compensation takes effect once however often it is delivered, a compensation that overtakes its action
//! keeps that action from ever happening, refusals are sticky, and faults leave no trace.
//!
//! The promises that handlers make in return stand at [`Handler`], [`SetHandler`], [`OutsideHandler`], [`EventHandler`]
//! and, for those of one batch, at [`LockOrder`].

#![warn(missing_docs)]

pub mod limits;

mod context;
mod domain;
mod handler;
mod handler_error;
mod lock_order;

mod demonstration;
mod domain_error;
mod hold_settings;
mod holds;
mod offer_keys;
mod offers;
mod sweeper;

mod barrier;
mod bulkheads;
mod consumer;
mod engine;
mod failure;
mod inbox;
mod outside;
mod own_connection;
mod parts;
mod received;
mod replies;
mod sets;
mod side_effects;
mod transaction;

mod events;

mod connection_monitor;
mod inbox_partitions;
mod new_day;
mod pruner;
mod retention;
mod roll_call;
mod running_domain;
mod settings;
mod start_error;
mod worker;

#[cfg(feature = "testkit")]
pub mod testkit;

mod erased;
mod observe;

pub use context::Context;
pub use demonstration::begin_seed;
pub use domain::{Domain, Resources};
pub use domain_error::DomainError;
pub use events::{
    handler::{EventContext, EventHandler},
    outbox::{Emitted, Events},
};
pub use handler::{Decided, Handled, Handler, Member, OutsideHandler, Prepare, Recording, SetHandled, SetHandler};
pub use handler_error::HandlerError;
pub use hold_settings::{HoldMinutes, Minutes, MinutesError, OfferMinutes};
pub use holds::{HOLDS_PER_BATCH, Holds, next_expiry, sweep_holds};
pub use lock_order::{Batch, LockOrder};
pub use offer_keys::{DEVELOPMENT_OFFER_KEY, OfferError, OfferKeys, OfferKeysError, Opened};
pub use offers::{OfferQuery, OfferReadError, OfferReads};
pub use retention::Retention;
pub use running_domain::open_resources;
pub use settings::{DATABASE_PREFIX, Settings};
pub use start_error::StartError;
pub use sweeper::run_sweeper;
pub use worker::{Worker, start};
