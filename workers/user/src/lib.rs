//! The user domain: registration, login, sessions, passwords, second factors, and the keys that every other part checks tokens with.
//!
//! It takes no commands yet. Registration and login need an answer at once, so they are internal HTTP; what has
//! happened is announced through the event outbox.

mod domain;
mod http;
mod settings;

mod commands;
mod credentials;
mod demo;

mod device;
mod factor_keys;
mod hashing;
mod keys;
mod logins;
mod one_time_code;
mod password;
mod people;
mod second_factor;
mod session;
mod totp;

pub mod admin;

pub use demo::{DEMO_ADMIN_EMAIL, DEMO_CLIENT_EMAIL, DEMO_OPERATOR_EMAIL, DEMO_VIEWER_EMAIL};
pub use domain::{DATABASE, MIGRATOR, SetupError, domain};
pub use factor_keys::{DEVELOPMENT_SECOND_FACTOR_KEY, FactorKeysError};
pub use keys::{KeyError, Rights, SigningKey};
pub use settings::{DEVELOPMENT_DEMO_PASSWORD, SIGNING_KEY_FILE_DEFAULT, Settings};
