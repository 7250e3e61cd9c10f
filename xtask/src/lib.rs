//! The parts that the tasks and the house rules (`tests/tidy.rs`) share.

pub mod migrations;
pub mod workspace;
