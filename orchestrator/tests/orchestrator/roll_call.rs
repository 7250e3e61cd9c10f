//! The workers of an installation, as every orchestrator tells them: by version, and those of before as unknown.

use std::sync::Arc;

use contract::{
    InstanceId, Route,
    orchestrator_api::Processes,
    roll_call::{KIND_WORKER_PRESENT, RollCall, WorkerPresent},
};
use kit::clock::{Clock, SystemClock};
use messaging::{Broker, Message, Outgoing, QueueName, Topology};
use tokio::task::JoinSet;

use crate::{
    client::Client,
    rig::{Rig, Running, scenarios, until},
};

scenarios!(in_memory, InMemory: workers_are_told_with_their_versions_and_those_of_before_as_unknown);
scenarios!(on_real_servers, Real: workers_are_told_with_their_versions_and_those_of_before_as_unknown);

/// A process that consumes a domain's commands and answers roll calls, until it is dropped.
struct Process {
    instance: InstanceId,
    _tasks: JoinSet<()>,
}

impl Process {
    async fn start(broker: Arc<dyn Broker>, version: &'static str, domain: Route) -> Self {
        let instance = kit::ids::instance_id();
        broker.declare(&Topology::new().with_worker(&instance.to_string())).await.unwrap();
        let mut calls = broker.subscribe(&QueueName::worker(&instance.to_string()), 16).await.unwrap();
        let mut commands = broker.subscribe(&QueueName::commands(domain.as_str()), 1).await.unwrap();
        let acker = calls.acker();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { while commands.next_batch(1).await.is_some() {} });
        tasks.spawn(async move {
            while let Some(deliveries) = calls.next_batch(16).await {
                for delivery in &deliveries {
                    let RollCall { request_id, answer_to } = serde_json::from_slice(&delivery.message.body).unwrap();
                    let (version, started_at, domains) = (version.to_owned(), SystemClock.now(), vec![domain]);
                    let present = WorkerPresent { request_id, instance, version, started_at, domains };
                    let body = serde_json::to_vec(&present).unwrap();
                    let message = Message::new(kit::ids::message_id().to_string(), KIND_WORKER_PRESENT, body);
                    broker.publish(vec![Outgoing::reply(answer_to, message)]).await;
                }
                acker.ack(&deliveries).await;
            }
        });
        Self { instance, _tasks: tasks }
    }
}

async fn processes(client: &Client) -> Processes {
    serde_json::from_value(client.get("/api/processes").await.1).unwrap()
}

fn unknown(processes: &Processes, route: Route) -> u32 {
    processes.domains.iter().find(|way| way.route == route).unwrap().unknown_consumers
}

async fn workers_are_told_with_their_versions_and_those_of_before_as_unknown(rig: &Rig) {
    let first = rig.orchestrator().await;
    let second = Running::start_waiting(rig.parts().await).await;
    let nobody = processes(&first.client).await;
    assert!(nobody.workers.is_empty() && nobody.domains.iter().all(|way| way.unknown_consumers == 0), "{nobody:?}");

    // A program of before, which consumes and does not hear the question.
    let _before = rig.worker().await;
    until("it is told as unknown", async || {
        let told = processes(&first.client).await;
        let unknown = (unknown(&told, Route::Payment), unknown(&told, Route::Flights));
        (told.workers.is_empty() && unknown == (1, 0)).then_some(())
    })
    .await;

    let old = Process::start(rig.broker().await, "0.1.0", Route::Flights).await;
    let new = Process::start(rig.broker().await, "0.2.0", Route::Flights).await;
    let mut expected = [(old.instance, "0.1.0".to_owned()), (new.instance, "0.2.0".to_owned())];
    expected.sort_unstable();
    for orchestrator in [&first, &second] {
        until("both answer with their versions", async || {
            let told = processes(&orchestrator.client).await;
            let unknown = (unknown(&told, Route::Flights), unknown(&told, Route::Payment));
            let mut versions: Vec<_> = told.workers.into_iter().map(|it| (it.instance, it.version)).collect();
            versions.sort_unstable();
            (versions == expected && unknown == (0, 1)).then_some(())
        })
        .await;
    }

    drop(old);
    until("the process that ended is gone", async || {
        let told = processes(&second.client).await;
        let left: Vec<_> = told.workers.iter().map(|worker| worker.instance).collect();
        (left == [new.instance] && unknown(&told, Route::Flights) == 0).then_some(())
    })
    .await;
}
