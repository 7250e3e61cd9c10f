//! Settings that an operator may choose about people and their sessions.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use crate::factor_keys::{DEVELOPMENT_SECOND_FACTOR_KEY, FactorKeys, FactorKeysError};

/// The password of the demo data's people in development. Production has no demo data unless another one is given.
pub const DEVELOPMENT_DEMO_PASSWORD: &str = "sojourn-development";

/// Where the signing key is when nothing is said.
pub const SIGNING_KEY_FILE_DEFAULT: &str = "data/jwt-signing-key.pem";

/// The user domain's settings.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Settings {
    /// The Ed25519 key that signs access tokens, as PKCS#8 PEM. Development makes one when the file is missing.
    #[arg(long, env = "SOJOURN_JWT_SIGNING_KEY_FILE", default_value = SIGNING_KEY_FILE_DEFAULT, value_name = "FILE")]
    pub jwt_signing_key_file: PathBuf,
    /// For how many minutes an access token is good.
    #[arg(long, env = "SOJOURN_ACCESS_TOKEN_MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1440))]
    pub access_token_minutes: u16,
    /// For how many days a login lasts, however often it is refreshed.
    #[arg(long, env = "SOJOURN_SESSION_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=365))]
    pub session_days: u16,
    /// The password of the demo data's client and operator; without the default, production makes no such people.
    #[arg(long, env = "SOJOURN_DEMO_PASSWORD", default_value = DEVELOPMENT_DEMO_PASSWORD, hide_default_value = true, hide_env_values = true)]
    pub demo_password: SecretString,
    /// The keys of second factors, of 32 bytes at least, separated by commas: the first one encrypts, all of them decrypt.
    #[arg(long, env = "SOJOURN_SECOND_FACTOR_KEYS", value_delimiter = ',', default_value = DEVELOPMENT_SECOND_FACTOR_KEY, hide_default_value = true, hide_env_values = true)]
    pub second_factor_keys: Vec<SecretString>,
    /// Whether operators and admins act only with a second factor: `true` in production unless it is said.
    #[arg(long, env = "SOJOURN_REQUIRE_SECOND_FACTOR", num_args = 0..=1, default_missing_value = "true")]
    pub require_second_factor: Option<bool>,
}

impl Settings {
    /// Finds keys that cannot be used.
    ///
    /// # Errors
    /// [`FactorKeysError`].
    pub fn check(&self, production: bool) -> Result<(), FactorKeysError> {
        self.factor_keys(production).map(drop)
    }

    pub(crate) fn factor_keys(&self, production: bool) -> Result<FactorKeys, FactorKeysError> {
        FactorKeys::new(&self.second_factor_keys, production)
    }

    /// The password for the demo data, if there is to be any.
    #[must_use]
    pub fn demo_password(&self, production: bool) -> Option<&SecretString> {
        let known = self.demo_password.expose_secret() == DEVELOPMENT_DEMO_PASSWORD;
        (!production || !known).then_some(&self.demo_password)
    }
}
