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
//! What handlers promise to the runtime stands at [`Handler`] and [`OutsideHandler`].

#![warn(missing_docs)]

pub mod limits;

mod context;
mod domain;
mod handler;

mod demonstration;
mod domain_error;
mod hold_settings;
mod offers;
mod sweeper;

mod barrier;
mod consumer;
mod engine;
mod failure;
mod inbox;
mod outside;
mod received;
mod side_effects;
mod transaction;

mod events;

mod connection_monitor;
mod new_day;
mod prune;
mod worker;

#[cfg(feature = "testkit")]
pub mod testkit;

mod erased;
mod observe;

pub use context::Context;
pub use demonstration::begin_seed;
pub use domain::{Domain, Resources};
pub use domain_error::DomainError;
pub use events::outbox::Events;
pub use handler::{Handled, Handler, HandlerError, OutsideHandler, Prepare};
pub use hold_settings::{HoldMinutes, Minutes, MinutesError, OfferMinutes};
pub use offers::{OfferError, OfferReads, OfferTimes};
pub use sweeper::run_sweeper;
pub use worker::{DATABASE_PREFIX, Settings, StartError, Worker, start};
