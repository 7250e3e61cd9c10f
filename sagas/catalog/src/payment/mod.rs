//! The `payment` saga: one payment for an order, with 3-D Secure where the bank asks for it.

pub mod v1;
