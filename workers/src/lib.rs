//! All domains of the agency by name, for the programs that run some of them in a process.

use std::sync::Arc;

use contract::Route;
use kit::{clock::Clock, postgres::OpenError};
use worker_runtime::Domain;

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
}

/// Why a domain cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The user domain.
    #[error("the user domain cannot be set up")]
    User(#[from] worker_user::SetupError),
    /// The payment domain.
    #[error("the payment domain cannot be set up")]
    Payment(#[from] OpenError),
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
        Route::Accommodation => worker_accommodation::domain(&settings.accommodation, !production),
        Route::Flights => worker_flights::domain(&settings.flights, !production),
        Route::Payment => {
            let sandbox = worker_payment::SandboxProvider::connect_lazy(database_url, Arc::clone(clock))?;
            worker_payment::domain(Arc::new(sandbox))
        }
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
