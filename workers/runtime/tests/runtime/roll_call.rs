//! Worker processes that are asked who they are.

use std::{collections::BTreeSet, sync::Arc};

use contract::{
    Route,
    roll_call::{KIND_ROLL_CALL, KIND_WORKER_PRESENT, RollCall, WorkerPresent},
};
use messaging::{
    Broker, EVERY_WORKER, Message, Outgoing, PublishError, QueueName, Subscription, Topology,
    in_process::InProcessBroker,
    rabbitmq::{RabbitBroker, RabbitOptions},
};
use worker_runtime::Settings;

use crate::flow::{Choices, Flow, PATIENCE, run_with, take_from};

/// One who asks, as an orchestrator does.
struct Asking {
    broker: Arc<dyn Broker>,
    queue: QueueName,
    answers: Subscription,
}

impl Asking {
    async fn over(broker: Arc<dyn Broker>) -> Self {
        let instance = kit::ids::instance_id().to_string();
        let queue = QueueName::orchestrator(&instance);
        broker.declare(&Topology::new().with_orchestrator(&instance)).await.unwrap();
        let answers = broker.subscribe(&queue, 16).await.unwrap();
        Self { broker, queue, answers }
    }

    async fn publish(&self, body: Vec<u8>) -> Result<(), PublishError> {
        let message = Message::new(kit::ids::message_id().to_string(), KIND_ROLL_CALL, body);
        self.broker.publish(vec![Outgoing::reply(EVERY_WORKER, message)]).await.remove(0)
    }

    /// The answers of so many workers.
    async fn ask(&mut self, many: usize) -> Vec<WorkerPresent> {
        let request_id = kit::ids::request_id();
        let call = RollCall { request_id, answer_to: self.queue.as_str().to_owned() };
        self.publish(serde_json::to_vec(&call).unwrap()).await.unwrap();
        let answers = take_from(&mut self.answers, many, "answers").await;
        assert!(answers.iter().all(|answer| answer.message.kind == KIND_WORKER_PRESENT), "{answers:?}");
        let answers: Vec<WorkerPresent> =
            answers.iter().map(|answer| serde_json::from_slice(&answer.message.body).unwrap()).collect();
        assert!(answers.iter().all(|answer| answer.request_id == request_id), "{answers:?}");
        answers
    }
}

/// Two processes of two versions, as during a rolling upgrade, and two who ask.
async fn every_process_answers_each_who_asks_with_its_own_version(
    first: Arc<dyn Broker>,
    second: Arc<dyn Broker>,
    clients: [Arc<dyn Broker>; 2],
) {
    let [client, another] = clients;
    let flow = Flow::start(first, Arc::clone(&client), Choices::default()).await;
    let upgraded = Settings { version: "0.2.0+upgrade".to_owned(), ..flow.settings.clone() };
    let (next, stop_next) = run_with(&flow, &upgraded, second).await;
    let (mut asking, mut too) = (Asking::over(client).await, Asking::over(another).await);
    for asks in [&mut asking, &mut too] {
        let answers = asks.ask(2).await;
        let versions: BTreeSet<_> = answers.iter().map(|answer| answer.version.as_str()).collect();
        assert_eq!(versions, BTreeSet::from([kit::version::VERSION, "0.2.0+upgrade"]));
        assert!(answers.iter().all(|answer| answer.domains == [Route::Flights]), "{answers:?}");
        assert_ne!(answers[0].instance, answers[1].instance);
    }
    // What cannot be read is no question, and keeps nobody from the next one.
    asking.publish(b"{}".to_vec()).await.unwrap();
    assert_eq!(asking.ask(2).await.len(), 2);
    // A process that has ended is not there any more.
    stop_next.cancel();
    tokio::time::timeout(PATIENCE, next.finished()).await.expect("the worker drains");
    let left = asking.ask(1).await;
    assert_eq!(left[0].version, kit::version::VERSION);
    flow.stop().await;
}

#[tokio::test]
async fn every_process_answers_in_the_process() {
    let broker = InProcessBroker::new();
    let client = || Arc::new(broker.another_client()) as Arc<dyn Broker>;
    every_process_answers_each_who_asks_with_its_own_version(client(), client(), [client(), client()]).await;
}

#[tokio::test]
async fn every_process_answers_over_rabbitmq() {
    let namespace = messaging::Namespace::new(private_servers::testing::unique("runtime"));
    let connect = async || {
        let options = RabbitOptions::new(&private_servers::testing::amqp_url(), "test").unwrap();
        Arc::new(RabbitBroker::connect(options.with_namespace(namespace.clone())).await.unwrap()) as Arc<dyn Broker>
    };
    let clients = [connect().await, connect().await];
    every_process_answers_each_who_asks_with_its_own_version(connect().await, connect().await, clients).await;
}
