//! A worker for the tests: a real consumer of the command queues, with an inbox in memory. What it does is told by
//! the command's script, such as `refuse authorize` or `silent hold-room 2`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use chrono::TimeDelta;
use contract::{
    CommandId, Document, Outcome, Route, SagaId,
    envelope::{CommandEnvelope, KIND_COMMAND, KIND_REPLY, ReplyEnvelope},
    step::Op,
};
use kit::clock::{Clock, SystemClock};
use messaging::{Broker, Message, Outgoing, QueueName, Topology};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

/// A running worker of all domains. Dropping it ends it, unacknowledged deliveries go back.
pub(crate) struct Worker {
    inbox: Arc<Mutex<Inbox>>,
    /// While false, commands are taken but not answered; they are answered once it is true.
    answering: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Inbox {
    outcomes: BTreeMap<CommandId, Outcome<Value>>,
    /// In the order of arrival, duplicates too.
    received: Vec<CommandId>,
    envelopes: Vec<CommandEnvelope>,
}

impl Worker {
    pub(crate) async fn start(broker: Arc<dyn Broker>) -> Self {
        let inbox = Arc::default();
        let answering = watch::Sender::new(true);
        let mut tasks = JoinSet::new();
        let topology = Route::ALL.iter().fold(Topology::new(), |all, route| all.with_commands(route.as_str()));
        broker.declare(&topology).await.unwrap();
        for route in [Route::Order, Route::Accommodation, Route::Payment] {
            tasks.spawn(serve(Arc::clone(&broker), route, Arc::clone(&inbox), answering.subscribe()));
        }
        Self { inbox, answering, _tasks: tasks }
    }

    pub(crate) fn answer(&self, answering: bool) {
        self.answering.send_replace(answering);
    }

    /// The distinct commands of a saga, as `step` or `step/back`.
    pub(crate) fn carried_out(&self, saga: SagaId) -> Vec<String> {
        let inbox = self.inbox.lock().unwrap();
        let mut seen = Vec::new();
        for id in inbox.received.iter().filter(|id| id.saga == saga) {
            let name = short(id);
            if !seen.contains(&name) {
                seen.push(name);
            }
        }
        seen
    }

    /// How often a command came, duplicates too.
    pub(crate) fn received(&self, saga: SagaId, name: &str) -> usize {
        let inbox = self.inbox.lock().unwrap();
        inbox.received.iter().filter(|id| id.saga == saga && short(id) == name).count()
    }

    /// The first copy of a command as it came.
    pub(crate) fn envelope(&self, saga: SagaId, name: &str) -> Option<CommandEnvelope> {
        let inbox = self.inbox.lock().unwrap();
        inbox.envelopes.iter().find(|one| one.saga_id() == saga && short(&one.command_id) == name).cloned()
    }

    /// Every stored reply of a saga.
    pub(crate) fn outcomes(&self, saga: SagaId) -> Vec<(CommandId, Outcome<Value>)> {
        let inbox = self.inbox.lock().unwrap();
        let of_saga = inbox.outcomes.iter().filter(|(id, _)| id.saga == saga);
        of_saga.map(|(id, outcome)| (id.clone(), outcome.clone())).collect()
    }
}

fn short(id: &CommandId) -> String {
    match id.op {
        Op::Action => id.step.to_string(),
        Op::Compensation => format!("{}/back", id.step),
        Op::Extension => format!("{}/extend", id.step),
    }
}

async fn serve(broker: Arc<dyn Broker>, route: Route, inbox: Arc<Mutex<Inbox>>, answering: watch::Receiver<bool>) {
    let mut commands = broker.subscribe(&QueueName::commands(route.as_str()), 64).await.unwrap();
    let mut at_work = JoinSet::new();
    while let Some(deliveries) = commands.next_batch(64).await {
        for delivery in deliveries {
            assert_eq!(delivery.message.kind, KIND_COMMAND);
            let command: CommandEnvelope = serde_json::from_slice(&delivery.message.body).unwrap();
            let answers = handle(&inbox, &command);
            let (broker, acker, mut answering) = (Arc::clone(&broker), commands.acker(), answering.clone());
            at_work.spawn(async move {
                answering.wait_for(|answering| *answering).await.unwrap();
                let replies = answers.into_iter().map(|outcome| reply(&command, outcome)).collect();
                // Without a broker the delivery stays unacknowledged and comes again.
                if broker.publish(replies).await.iter().all(Result::is_ok) {
                    acker.ack(&[delivery]).await;
                } else {
                    acker.requeue(&[delivery]).await;
                }
            });
        }
    }
}

fn handle(inbox: &Mutex<Inbox>, command: &CommandEnvelope) -> Vec<Outcome<Value>> {
    let mut inbox = inbox.lock().unwrap();
    let id = &command.command_id;
    inbox.received.push(id.clone());
    inbox.envelopes.push(command.clone());
    let times = inbox.received.iter().filter(|seen| *seen == id).count();
    let payload: Value = serde_json::from_str(command.payload.get()).unwrap();
    let script = payload["script"].as_str().unwrap_or_default();
    let name = short(id);
    let told = |verb: &str| {
        script.split(';').map(str::trim).find_map(|line| {
            let rest = line.strip_prefix(verb)?.trim();
            let (step, count) = rest.split_once(' ').unwrap_or((rest, "1000"));
            (step == name).then(|| count.parse::<usize>().unwrap())
        })
    };
    if told("silent").is_some_and(|count| times <= count) {
        return Vec::new();
    }
    if told("fault").is_some_and(|count| times <= count) {
        return vec![Outcome::faulted("dependency_failed", "as told")];
    }
    if told("garble").is_some_and(|count| times <= count) {
        return vec![Outcome::done(Value::Null)];
    }
    let outcome = inbox.outcomes.entry(id.clone()).or_insert_with(|| {
        if told("refuse").is_some() {
            Outcome::refused("as_told", "as told")
        } else {
            let reference = format!("{}-{}", id.step, id.generation);
            let kept = told("keeps").and_then(|kept_ms| i64::try_from(kept_ms).ok());
            let until = kept.map(|kept_ms| SystemClock.now() + TimeDelta::milliseconds(kept_ms));
            let mut reply = json!({ "reference": reference });
            if let Some(until) = until {
                reply["until"] = json!(until);
            }
            Outcome::done(reply)
        }
    });
    let copies = if told("twice").is_some() { 2 } else { 1 };
    vec![outcome.clone(); copies]
}

/// A reply as a worker sends it.
pub(crate) fn reply(command: &CommandEnvelope, outcome: Outcome<Value>) -> Outgoing {
    let message_id = kit::ids::message_id();
    let envelope = ReplyEnvelope {
        message_id,
        command_id: command.command_id.clone(),
        attempt: command.attempt,
        parcels: Some(command.route),
        outcome: outcome.map(Document::from),
        traceparent: None,
    };
    let body = serde_json::to_vec(&envelope).unwrap();
    let message = Message::new(message_id.to_string(), KIND_REPLY, body);
    Outgoing::reply(command.reply_to.clone(), message).to_unpacker(command.parcels)
}
