//! Messages besides commands and replies: between orchestrators, and from the dead letters.

pub(crate) mod acts;
pub(crate) mod dead_letters;
pub(crate) mod own_queue;
pub(crate) mod pending_requests;
pub(crate) mod pongs;
pub(crate) mod questions;
pub(crate) mod roll_calls;
pub(crate) mod unpackers;
pub(crate) mod wire;
