//! What all routes share: the parts behind the door, the keys, the clock, and the task that watches over them.

use std::{sync::Arc, time::Duration};

use kit::{clock::Clock, readiness::Readiness};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    idempotency::InFlight,
    keys::Keys,
    settings::Settings,
    upstream::{self, Upstream},
};

/// How often the parts are asked whether they are there: often enough that a load balancer notices, rare enough to
/// cost nothing.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// The same while something is missing, so that a start is not slowed by it.
const WATCH_INTERVAL_MISSING: Duration = Duration::from_millis(500);

/// The most streams of clients that this process keeps open at once. Each holds a connection on both sides.
const STREAMS_MAX: usize = 4_000;

/// The most calls and streams of operators at once: places of their own, so that a crowd of clients never locks out
/// who would help them.
const OPERATOR_STREAMS_MAX: usize = 500;

/// Shared by all routes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Door(Arc<Inner>);

/// See [`Door`], which derefs to it.
pub(crate) struct Inner {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: Keys,
    pub(crate) orchestrator: Upstream,
    pub(crate) user: Arc<Upstream>,
    pub(crate) order: Upstream,
    pub(crate) flights: Upstream,
    pub(crate) accommodation: Upstream,
    pub(crate) in_flight: InFlight,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) operator_streams: Arc<Semaphore>,
    pub(crate) stopping: CancellationToken,
}

impl std::ops::Deref for Door {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Door {
    pub(crate) fn new(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        stopping: CancellationToken,
    ) -> Result<Self, reqwest::Error> {
        let http = upstream::client()?;
        let part = |service, urls: &[reqwest::Url]| {
            Upstream::new(service, urls, http.clone(), settings.internal_token.clone())
        };
        let user = Arc::new(part("user", &settings.user));
        Ok(Self(Arc::new(Inner {
            clock,
            keys: Keys::new(Arc::clone(&user)),
            orchestrator: part("orchestrator", &settings.orchestrator),
            user,
            order: part("order", &settings.order),
            flights: part("flights", &settings.flights),
            accommodation: part("accommodation", &settings.accommodation),
            in_flight: InFlight::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            operator_streams: Arc::new(Semaphore::new(OPERATOR_STREAMS_MAX)),
            stopping,
        })))
    }

    /// Keeps the readiness true and the keys fresh, until the gateway stops.
    pub(crate) fn watch(self, readiness: Readiness) {
        for part in self.parts() {
            readiness.set(part.service(), Err("not reached yet".to_owned()));
        }
        readiness.set("keys", Err("the user service has not been asked for its keys yet".to_owned()));
        tokio::spawn(async move {
            loop {
                self.look(&readiness).await;
                let pause = if readiness.missing().is_empty() { WATCH_INTERVAL } else { WATCH_INTERVAL_MISSING };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.stopping.cancelled() => return,
                }
            }
        });
    }

    async fn look(&self, readiness: &Readiness) {
        let parts = self.parts();
        let states = futures::future::join_all(parts.map(Upstream::alive)).await;
        for (part, state) in parts.iter().zip(states) {
            readiness.set(part.service(), state);
        }
        readiness.set("keys", self.keys.keep_fresh().await);
    }

    fn parts(&self) -> [&Upstream; 5] {
        [&self.orchestrator, &self.user, &self.order, &self.flights, &self.accommodation]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::operation_events::take_place;

    #[tokio::test]
    async fn a_crowd_of_clients_takes_no_place_of_an_operator() {
        let url: reqwest::Url = "http://127.0.0.1:9".parse().unwrap();
        let settings = Settings::development("127.0.0.1:0".parse().unwrap(), url.clone(), url);
        let door = Door::new(&settings, kit::clock::system(), CancellationToken::new()).unwrap();
        let crowd: Vec<_> = std::iter::from_fn(|| take_place(&door.streams).ok()).collect();
        assert_eq!(take_place(&door.streams).unwrap_err().code(), "too_many_streams");
        assert!(take_place(&door.operator_streams).is_ok());
        drop(crowd);
        assert!(take_place(&door.streams).is_ok());
    }
}
