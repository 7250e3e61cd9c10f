//! The order domain: what a client has ordered, at which price, and what became of it.
//!
//! An order is pending until its saga confirms or rejects it; nothing else changes it (a semantic lock). It says
//! `confirmed` only at the very end (S26).

mod domain;
mod past_orders;
mod rules;

mod commands;
mod reads;

pub use domain::{DATABASE, MIGRATOR, domain};
