//! HTTP as every program speaks it: problem details for errors, checked extractors, health, limits, the server.

mod body_limit;
mod calls;
mod extract;
pub mod page_token;
mod problem;
mod server;

pub use body_limit::{read_body_in_time, refuse_large_body};
pub use calls::{CALLS_MAX, Calls, run_to_end};
pub use extract::{Json, Path, Query};
pub use problem::{ApiError, ProblemCode};
pub use server::{BODY_BYTES_MAX, REQUEST_TIMEOUT, base, require_internal_token, serve, shows_token};
