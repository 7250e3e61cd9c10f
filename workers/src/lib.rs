//! All domains of the agency by name, for the programs that run some of them in a process.

use std::sync::Arc;

use contract::Route;
use kit::clock::Clock;
use secrecy::SecretString;
use worker_runtime::{DEVELOPMENT_OFFER_KEY, Domain, OfferKeys, OfferKeysError};

/// The settings of the domains.
#[derive(Debug, Clone, clap::Args)]
pub struct DomainSettings {
    /// Settings of the user domain.
    #[command(flatten)]
    pub user: worker_user::Settings,
    /// Settings of the flights domain.
    #[command(flatten)]
    pub flights: worker_flights::Settings,
    /// Settings of the accommodation domain.
    #[command(flatten)]
    pub accommodation: worker_accommodation::Settings,
    /// Settings of the payment domain.
    #[command(flatten)]
    pub payment: worker_payment::Settings,
    /// The keys of offers, of 32 bytes at least, separated by commas: the first one seals, all of them open.
    #[arg(long, env = "SOJOURN_OFFER_KEYS", value_delimiter = ',', default_value = DEVELOPMENT_OFFER_KEY, hide_default_value = true, hide_env_values = true)]
    pub offer_keys: Vec<SecretString>,
}

impl DomainSettings {
    /// The keys of offers.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn offer_keys(&self, production: bool) -> Result<OfferKeys, OfferKeysError> {
        OfferKeys::new(&self.offer_keys, production)
    }
}

/// Why a domain cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The user domain.
    #[error("the user domain cannot be set up")]
    User(#[from] worker_user::SetupError),
    /// The payment domain.
    #[error(transparent)]
    Payment(#[from] worker_payment::SetupError),
    /// The domains that make offers.
    #[error(transparent)]
    OfferKeys(#[from] OfferKeysError),
}

/// Sets one domain up. Outside of production flights and accommodation get demonstration data.
///
/// # Errors
/// When a setting cannot work.
pub fn domain(
    route: Route,
    settings: &DomainSettings,
    database_url: &str,
    clock: &Arc<dyn Clock>,
    production: bool,
) -> Result<Domain, SetupError> {
    Ok(match route {
        Route::User => worker_user::domain(&settings.user, production)?,
        Route::Order => worker_order::domain(),
        Route::Accommodation => {
            let offer_keys = settings.offer_keys(production)?;
            worker_accommodation::domain(&settings.accommodation, offer_keys, !production)
        }
        Route::Flights => {
            let offer_keys = settings.offer_keys(production)?;
            worker_flights::domain(&settings.flights, offer_keys, !production)
        }
        Route::Payment => worker_payment::domain(settings.payment.provider(database_url, clock, production)?),
        Route::Feed => worker_feed::domain(),
    })
}

/// The domain of a name, such as `flights`.
///
/// # Errors
/// Names the right ones.
pub fn route(name: &str) -> Result<Route, String> {
    let known = Route::ALL.into_iter().find(|route| route.as_str() == name);
    known.ok_or_else(|| format!("there is no domain `{name}`; there are {}", names()))
}

/// The names of all domains, for people.
#[must_use]
pub fn names() -> String {
    Route::ALL.map(Route::as_str).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_found_by_its_name_and_a_wrong_name_is_answered_with_the_right_ones() {
        assert_eq!(route("payment"), Ok(Route::Payment));
        assert!(route("fligths").unwrap_err().ends_with("user, order, accommodation, flights, payment, feed"));
    }
}
