//! The tests of the machine, as one program.

mod common;
mod golden;
mod laws;
mod mistakes;
mod rules;
mod table;
