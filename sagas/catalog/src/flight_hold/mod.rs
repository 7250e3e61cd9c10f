//! The `flight_hold` saga: seats that a client holds for an evening, and then pays for or lets go.

pub mod v1;
