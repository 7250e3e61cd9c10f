//! The background work: holds that were never confirmed are given back, and what is long past is removed.

mod expire_holds;
pub(crate) mod past_nights;
pub(crate) mod past_stays;
