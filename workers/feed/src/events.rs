//! The events of other domains that this one has subscribed to.

pub(crate) mod user_created;
