//! The background work: holds that were never confirmed are given back.

mod expire_holds;
