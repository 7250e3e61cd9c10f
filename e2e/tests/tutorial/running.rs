//! The whole saga on real servers: an orchestrator and a worker with the tutorial's parts, and guests who answer.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use contract::{
    orchestrator_api::{SagaStarted, SagaView, SignalEffect},
    saga::SagaStatus,
};
use e2e::wait::until;
use journal::{PgJournal, PgJournalOptions};
use kit::settings::DEVELOPMENT_INTERNAL_TOKEN;
use machine::Catalog;
use messaging::{
    Broker, Namespace,
    rabbitmq::{RabbitBroker, RabbitOptions},
};
use orchestrator::{Orchestrator, Settings};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use worker_runtime::Worker;

use crate::{definition::definition, handlers, messages::REFUSED_SUITE_TAKEN};

/// The end of a saga comes long before, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The fewest shards that an installation can have.
const SHARDS: u16 = 1;

/// An orchestrator and a worker that run, and a client of the first.
struct Running {
    orchestrator: Orchestrator,
    worker: Worker,
    stop: CancellationToken,
    http: reqwest::Client,
}

impl Running {
    async fn start() -> Self {
        let stop = CancellationToken::new();
        let clock = kit::clock::system();
        let namespace = Namespace::new(private_servers::testing::unique("tutorial"));
        let broker = async || {
            let options = RabbitOptions::new(&private_servers::testing::amqp_url(), "tutorial").unwrap();
            let broker = RabbitBroker::connect(options.with_namespace(namespace.clone())).await.unwrap();
            Arc::new(broker) as Arc<dyn Broker>
        };

        let database = private_servers::testing::database("tutorial").await;
        let options = PgJournalOptions::new(&database, SHARDS, kit::ids::instance_id(), clock.now());
        let journal = PgJournal::connect(options).await.unwrap();
        let catalog = Catalog::new([definition().unwrap()]).unwrap();
        let settings = Settings::development(SocketAddr::from(([127, 0, 0, 1], 0)));
        let started = orchestrator::start(settings, journal, broker().await, catalog, clock.clone(), stop.clone());
        let orchestrator = started.await.unwrap();

        let mut settings = worker_runtime::Settings::new(&database, DEVELOPMENT_INTERNAL_TOKEN.into());
        settings.database_prefix = format!("{}_", database.rsplit('/').next().unwrap());
        let worker = worker_runtime::start(vec![handlers::domain()], settings, broker().await, clock, stop.clone());
        let worker = worker.await.unwrap();

        let mut owned = orchestrator.owned_shards();
        owned.wait_for(|owned| *owned == usize::from(SHARDS)).await.unwrap();
        Self { orchestrator, worker, stop, http: reqwest::Client::new() }
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let url = format!("http://{}{path}", self.orchestrator.address());
        let sent = self.http.post(url).bearer_auth(DEVELOPMENT_INTERNAL_TOKEN).json(body).send().await.unwrap();
        (sent.status(), sent.json().await.unwrap())
    }

    /// Offers the suite to the guest of a booking.
    async fn offer(&self, booking: &str) -> SagaStarted {
        let start = json!({
            "name": "upgrade",
            "business_key": booking,
            "idempotency": { "key": booking, "fingerprint": "the first offer" },
            "input": { "booking": booking, "suite": "Orchid" },
        });
        let (status, body) = self.post("/api/sagas", &start).await;
        assert!(status.is_success(), "{body}");
        serde_json::from_value(body).unwrap()
    }

    async fn view(&self, saga: &SagaStarted) -> SagaView {
        let url = format!("http://{}/api/sagas/{}", self.orchestrator.address(), saga.saga_id);
        let sent = self.http.get(url).bearer_auth(DEVELOPMENT_INTERNAL_TOKEN).send().await.unwrap();
        sent.json().await.unwrap()
    }

    /// The saga at its end.
    async fn ended(&self, saga: &SagaStarted) -> SagaView {
        let ended = async || {
            let view = self.view(saga).await;
            let status = view.summary.status;
            if status.is_final() { Ok(view) } else { Err(status.as_str().to_owned()) }
        };
        until("the saga's end", PATIENCE, ended).await
    }

    async fn stop(self) {
        self.stop.cancel();
        self.orchestrator.join().await;
        self.worker.finished().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guest_who_accepts_gets_the_suite_and_the_next_one_does_not() {
    let running = Running::start().await;
    let first = running.offer("bkg-1").await;
    let second = running.offer("bkg-1").await;
    assert_eq!((second.saga_id, second.created), (first.saga_id, false), "an offer that comes again is the same");

    let accept = json!({ "id": "evt-1", "payload": { "accepted_by": "Ada" } });
    let path = format!("/api/sagas/{}/signals/accept", first.saga_id);
    let (status, effect) = running.post(&path, &accept).await;
    assert_eq!(status, StatusCode::OK, "{effect}");
    let effect: SignalEffect = serde_json::from_value(effect).unwrap();
    assert!(matches!(effect, SignalEffect::Woke { .. } | SignalEffect::Kept {}), "{effect:?}");
    assert_eq!(running.ended(&first).await.summary.status, SagaStatus::Completed);

    let other = running.offer("bkg-2").await;
    let ended = running.ended(&other).await;
    assert_eq!(ended.summary.status, SagaStatus::Compensated);
    assert_eq!(ended.cause.unwrap().code, REFUSED_SUITE_TAKEN);
    running.stop().await;
}
