//! The user domain: registration, login, sessions, and the keys that every other part checks tokens with.
//!
//! It takes no commands yet. Registration and login need an answer at once, so they are internal HTTP; what has
//! happened is announced through the event outbox.

mod demo;
mod domain;
mod http;
mod keys;
mod password;
mod registration;
mod session;
mod settings;

pub use demo::{DEMO_CLIENT_EMAIL, DEMO_OPERATOR_EMAIL};
pub use domain::{DATABASE, MIGRATOR, SetupError, domain};
pub use keys::{KeyError, SigningKey};
pub use settings::{DEVELOPMENT_DEMO_PASSWORD, SIGNING_KEY_FILE_DEFAULT, Settings};
