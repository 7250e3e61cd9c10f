//! The common ground of all programs of Sojourn: settings, logs, metrics, health, HTTP errors, the clock.
//!
//! Nothing in here knows a business rule or a saga; the one place where the machine's clock and random bits enter a
//! program is [`clock`] and [`ids`].

mod allocator;
pub mod clock;
pub mod files;
pub mod gather;
pub mod http;
pub mod ids;
pub mod metrics;
pub mod postgres;
pub mod readiness;
pub mod settings;
pub mod shutdown;
pub mod signed_webhook;
pub mod telemetry;
pub mod version;
