//! Which provider takes the payments, and how it is reached.

use std::{sync::Arc, time::Duration};

use kit::{clock::Clock, postgres::OpenError, signed_webhook::WebhookSecrets};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgPool;

use crate::{
    domain::Provider,
    sandbox::{Sandbox, SandboxProvider},
    stripe::StripeProvider,
};

/// The address of the door when nothing is said.
pub const SANDBOX_DOOR_URL_DEFAULT: &str = "http://127.0.0.1:8080/";

/// The providers that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ProviderName {
    /// One of our own, which moves no money. Production refuses it.
    Sandbox,
    /// Stripe, or a provider that speaks as it does.
    Stripe,
}

/// The payment domain's settings.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Settings {
    /// The payment provider: `sandbox`, which moves no money and which production refuses, or `stripe`.
    #[arg(long, env = "SOJOURN_PAYMENT_PROVIDER", value_enum, default_value = "sandbox")]
    pub payment_provider: ProviderName,
    /// The address of Stripe's interface.
    #[arg(long, env = "SOJOURN_STRIPE_URL", default_value = "https://api.stripe.com", value_name = "URL")]
    pub stripe_url: Url,
    /// The secret key for Stripe.
    #[arg(long, env = "SOJOURN_STRIPE_SECRET_KEY", hide_env_values = true)]
    pub stripe_secret_key: Option<SecretString>,
    /// Where clients come back to from the provider's page.
    #[arg(long, env = "SOJOURN_PAYMENT_RETURN_URL", default_value = "http://127.0.0.1:8080/", value_name = "URL")]
    pub payment_return_url: Url,
    /// The address of the door as browsers reach it: the sandbox's page of 3-D Secure is there.
    #[arg(long, env = "SOJOURN_SANDBOX_DOOR_URL", default_value = SANDBOX_DOOR_URL_DEFAULT, value_name = "URL")]
    pub sandbox_door_url: Url,
    /// Where the sandbox sends its webhooks; without it, to the door's own route.
    #[arg(long, env = "SOJOURN_SANDBOX_WEBHOOK_URL", value_name = "URL")]
    pub sandbox_webhook_url: Option<Url>,
    /// After how many seconds the sandbox announces what it announces late: later than a saga waits.
    #[arg(long, env = "SOJOURN_SANDBOX_LATE_SECONDS", default_value_t = 660)]
    pub sandbox_late_seconds: u32,
    /// The secrets of webhooks.
    #[command(flatten)]
    pub webhook_secrets: WebhookSecrets,
}

/// Why there is no provider.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Payments that move no money are not for customers.
    #[error("production refuses the sandbox as payment provider: set SOJOURN_PAYMENT_PROVIDER=stripe")]
    SandboxInProduction,
    /// Stripe answers nobody without a key.
    #[error("the payment provider `stripe` needs a secret key: set SOJOURN_STRIPE_SECRET_KEY")]
    KeyMissing,
    /// A key on a connection that others can read.
    #[error("production speaks to the payment provider over https only: SOJOURN_STRIPE_URL is {0}")]
    Unencrypted(Url),
    /// The client for HTTP cannot be made.
    #[error("no client for the payment provider can be made")]
    Client(#[from] reqwest::Error),
    /// The sandbox's database.
    #[error("the sandbox has no database")]
    Database(#[from] OpenError),
}

impl Settings {
    /// Finds what cannot work before anything is started.
    ///
    /// # Errors
    /// [`SetupError`] says what to set.
    pub fn check(&self, production: bool) -> Result<(), SetupError> {
        match self.payment_provider {
            ProviderName::Sandbox if production => Err(SetupError::SandboxInProduction),
            ProviderName::Sandbox => Ok(()),
            ProviderName::Stripe if production && self.stripe_url.scheme() != "https" => {
                Err(SetupError::Unencrypted(self.stripe_url.clone()))
            }
            ProviderName::Stripe => self.stripe_key().map(|_| ()),
        }
    }

    fn stripe_key(&self) -> Result<&SecretString, SetupError> {
        let key = self.stripe_secret_key.as_ref().filter(|key| !key.expose_secret().is_empty());
        key.ok_or(SetupError::KeyMissing)
    }

    /// The provider of this installation.
    ///
    /// # Errors
    /// [`SetupError`] says what to set.
    pub fn provider(
        &self,
        database_url: &str,
        clock: &Arc<dyn Clock>,
        production: bool,
    ) -> Result<Provider, SetupError> {
        self.check(production)?;
        match self.payment_provider {
            ProviderName::Sandbox => {
                let pool = SandboxProvider::pool(database_url)?;
                Ok(Provider::Sandbox(self.sandbox(pool, Arc::clone(clock))))
            }
            ProviderName::Stripe => {
                let key = self.stripe_key()?.clone();
                let (url, back) = (self.stripe_url.clone(), self.payment_return_url.clone());
                let stripe = StripeProvider::new(url, key, back, Arc::clone(clock))?;
                Ok(Provider::Other(Arc::new(stripe)))
            }
        }
    }

    /// The sandbox on the database of this pool.
    #[must_use]
    pub fn sandbox(&self, pool: PgPool, clock: Arc<dyn Clock>) -> Sandbox {
        let door = self.sandbox_door_url.as_str().trim_end_matches('/').to_owned();
        let own_route = || format!("{door}/v1/webhooks/payments");
        Sandbox {
            webhook_url: self.sandbox_webhook_url.as_ref().map_or_else(own_route, Url::to_string),
            late: Duration::from_secs(self.sandbox_late_seconds.into()),
            secret: self.webhook_secrets.payment_webhook_secrets.first().cloned().unwrap_or_default(),
            provider: SandboxProvider::new(pool, clock, door),
        }
    }
}
