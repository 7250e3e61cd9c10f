//! The reads that the gateway asks this domain for.

pub(crate) mod notices;
