//! The commands that sagas send to this domain.

pub(crate) mod notify_user;
