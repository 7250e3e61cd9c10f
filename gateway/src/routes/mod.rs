//! What serves the rows of the table, one resource a file.

pub(crate) mod keys;
pub(crate) mod offers;
pub(crate) mod operation_events;
pub(crate) mod operations;
pub(crate) mod operators;
pub(crate) mod orders;
pub(crate) mod people;
pub(crate) mod place_order;
