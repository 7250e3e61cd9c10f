//! The feed domain: what people are told, in first form. Recommendations and search come with the agency's pages.

mod domain;
mod handlers;
mod http;

pub use domain::{DATABASE, MIGRATOR, domain};
pub use handlers::Feed;
