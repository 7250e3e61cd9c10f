//! The `booking` saga: an order of one stay.

pub mod v1;
