//! The state that all routes share: the parts behind the door, the keys, the clock, and the task that watches over the
//! parts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use contract::Route;
use kit::{clock::Clock, readiness::Readiness};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::{
    code_guesses::CodeGuesses,
    guesses::Guesses,
    idempotency::InFlight,
    keys::Keys,
    rights::Rights,
    settings::Settings,
    streams::Places,
    throttle::Throttle,
    upstream::{self, Part, Upstream},
};

/// How often the parts are asked how they stand: often enough that few calls meet one that has stopped answering, rare
/// enough to cost nothing.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// The same while something is missing, so that a start is not slowed by it.
const WATCH_INTERVAL_MISSING: Duration = Duration::from_millis(500);

/// The most streams of clients that this process keeps open at once. Each holds a connection on both sides.
const STREAMS_MAX: usize = 4_000;

/// The most calls and streams of operators at once: places of their own, so that a crowd of clients never locks out
/// the people who would help them.
const OPERATOR_STREAMS_MAX: usize = 500;

/// The state itself, behind one pointer: cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

/// The fields of [`App`], which derefs to it.
pub(crate) struct Inner {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: Keys,
    pub(crate) rights: Rights,
    pub(crate) orchestrator: Upstream,
    pub(crate) dashboard: Upstream,
    /// One for each domain of the contract.
    domains: BTreeMap<Route, Arc<Upstream>>,
    pub(crate) webhook_secrets: Vec<SecretString>,
    pub(crate) in_flight: InFlight,
    pub(crate) guesses: Guesses,
    pub(crate) codes: CodeGuesses,
    /// True in front of clients.
    pub(crate) production: bool,
    /// By address, as the searches.
    pub(crate) logins: Throttle,
    pub(crate) searches: Throttle,
    pub(crate) streams: Places,
    pub(crate) operator_streams: Places,
    pub(crate) stopping: CancellationToken,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    pub(crate) fn new(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        stopping: CancellationToken,
    ) -> Result<Self, reqwest::Error> {
        let http = upstream::client()?;
        let part =
            |part, urls: &[reqwest::Url]| Upstream::new(part, urls, http.clone(), settings.internal_token.clone());
        let urls_of = |route| settings.domains.get(&route).map_or(&[][..], Vec::as_slice);
        let domain = |route| Arc::new(part(Part::Domain(route), urls_of(route)));
        let domains: BTreeMap<_, _> = Route::ALL.map(|route| (route, domain(route))).into();
        Ok(Self(Arc::new(Inner {
            clock,
            keys: Keys::new(Arc::clone(&domains[&Route::User])),
            rights: Rights::new(Arc::clone(&domains[&Route::User])),
            orchestrator: part(Part::Orchestrator, &settings.orchestrator),
            dashboard: part(Part::Dashboard, &settings.dashboard),
            domains,
            webhook_secrets: settings.webhooks.payment_webhook_secrets.clone(),
            in_flight: InFlight::default(),
            guesses: Guesses::new(),
            codes: CodeGuesses::new(),
            production: settings.production,
            logins: Throttle::per_minute(settings.crowd.logins_per_minute),
            searches: Throttle::per_minute(settings.crowd.searches_per_minute),
            streams: Places::new(STREAMS_MAX),
            operator_streams: Places::new(OPERATOR_STREAMS_MAX),
            stopping,
        })))
    }

    /// The workers of a domain.
    pub(crate) fn domain(&self, route: Route) -> &Upstream {
        // All of `Route::ALL` are there since the start.
        &self.domains[&route]
    }

    /// Keeps the readiness of these parts true and the keys fresh, until the gateway stops.
    pub(crate) fn watch(self, parts: Vec<Part>, readiness: Readiness) {
        for part in parts.iter().filter(|part| part.is_needed()) {
            readiness.set(part.as_str(), Err("not reached yet".to_owned()));
        }
        readiness.set("keys", Err("the user service has not been asked for its keys yet".to_owned()));
        tokio::spawn(async move {
            loop {
                self.look(&parts, &readiness).await;
                let pause = if readiness.missing().is_empty() { WATCH_INTERVAL } else { WATCH_INTERVAL_MISSING };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.stopping.cancelled() => return,
                }
            }
        });
    }

    async fn look(&self, parts: &[Part], readiness: &Readiness) {
        let upstreams = parts.iter().map(|part| match part {
            Part::Orchestrator => &self.orchestrator,
            Part::Dashboard => &self.dashboard,
            Part::Domain(route) => self.domain(*route),
        });
        let states = futures::future::join_all(upstreams.map(Upstream::look)).await;
        let user_answers =
            parts.iter().zip(&states).any(|(part, state)| *part == Part::Domain(Route::User) && state.is_ok());
        for (part, state) in parts.iter().zip(states).filter(|(part, _)| part.is_needed()) {
            readiness.set(part.as_str(), state);
        }
        if user_answers {
            self.rights.keep_fresh().await;
        }
        readiness.set("keys", self.keys.keep_fresh().await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_crowd_of_clients_takes_no_place_of_an_operator() {
        let url: reqwest::Url = "http://127.0.0.1:9".parse().unwrap();
        let settings = Settings::development("127.0.0.1:0".parse().unwrap(), url.clone(), url);
        let app = App::new(&settings, kit::clock::system(), CancellationToken::new()).unwrap();
        let crowd: Vec<_> = std::iter::from_fn(|| app.streams.take().ok()).collect();
        assert_eq!(app.streams.take().unwrap_err().code(), "streams_exhausted");
        assert!(app.operator_streams.take().is_ok());
        drop(crowd);
        assert!(app.streams.take().is_ok());
    }
}
