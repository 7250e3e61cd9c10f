//! The harness of the end-to-end tests: the real programs as separate processes, on a private PostgreSQL and a private
//! RabbitMQ, reached only through the gateway's door, killed and restarted at will.

mod audit;
mod bulk;
mod client;
mod findings;
mod metrics;
mod offers;
mod pages;
mod process;
mod rows;
mod system;
pub mod wait;

pub use audit::Tally;
pub use client::{Client, Response, events, order_of};
pub use findings::Findings;
pub use offers::{Spoiled, spoiled};
pub use pages::{Pages, Shown};
pub use private_servers::testing::Way;
pub use process::{Ended, Program, free_port, run};
pub use system::{DEMO_PASSWORD, Part, System, domains};
