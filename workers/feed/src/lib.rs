//! The feed domain tells people what concerns them, in first form. Recommendations and search come with the agency's
//! pages.

mod commands;
mod domain;
mod events;
mod notice;
mod reads;

pub use domain::{DATABASE, MIGRATOR, domain};
