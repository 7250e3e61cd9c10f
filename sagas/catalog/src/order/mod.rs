//! The `order` saga: flights and stays of one journey, all of them or none.

pub mod v1;
pub mod v2;
