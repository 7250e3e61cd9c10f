//! Starts: admission, a lane that has room, and the answer after the commit.

pub(crate) mod admission;
pub(crate) mod fields;
pub(crate) mod lanes;
pub(crate) mod refused;
pub(crate) mod start_saga;
