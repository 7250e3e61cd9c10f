//! The conformance kit for handlers: delivers commands to a domain on a real database without a broker, and checks
//! the invariants of every action, compensation and subscription.
//!
//! ```text
//!  let harness = Harness::open(domain(), &private_servers::testing::database("flights").await, clock).await;
//!  conformance::check_pair(&harness, &Snapshot::new(["SELECT held, sold FROM cabin"]), || (hold(), release())).await;
//! ```
//!
//! Everything panics with a sentence about what does not hold: this module is for tests only.

mod clock;
pub mod conformance;
mod crossing;
mod events;
pub mod lab;
mod pause;

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use contract::{
    CommandId, MessageId, Op, Outcome, SagaId, StepName,
    command::{Command, Route},
    envelope::{CommandEnvelope, KIND_COMMAND},
};
use kit::{clock::Clock, readiness::Readiness};
use messaging::{Delivery, DeliveryTag, Exchange, Message, QueueName};
use sqlx::{AssertSqlSafe, PgPool};
use tokio_util::sync::CancellationToken;

use crate::{
    bulkheads::Bulkheads,
    domain::{Commands, Domain, Resources},
    engine::{Engine, Settled},
    events::{handler::Subscriptions, outbox::Events},
    outside::{self, Called},
    own_connection::OwnConnection,
    pruner::Pruner,
    received::{Part, ReceivedCommand},
    running_domain,
    transaction::{FollowUp, OutsideCall, expired},
};

pub use clock::ManualClock;
pub use crossing::{Crossed, cross};
pub use events::{DeliveredEvent, check_subscription};
pub use pause::{Overlap, PauseAt};

/// Where replies would go.
const REPLY_TO: &str = "replies.0";

/// Enough for deliveries side by side, an overlap's lock holder and the test's own queries.
const CONNECTIONS_MAX: u32 = 12;

/// A domain on its database, without a broker.
pub struct Harness {
    engine: Engine,
    route: Route,
    commands: Commands,
    subscriptions: Subscriptions,
    pruner: Pruner,
    resources: Resources,
    reads: Router,
    /// The consumers' connections that are not in use: deliveries side by side have one each.
    idle: Mutex<Vec<OwnConnection>>,
}

/// The fate of a command that was delivered once.
#[derive(Debug)]
pub enum Delivered {
    /// The answer, byte for byte: the JSON of an `Outcome`.
    Answered(String),
    /// The outside call stayed unclear however often it was made: no answer is given.
    Unanswered,
    /// It goes to the dead letters for this reason.
    DeadLettered(String),
    /// It goes back to the queue, because it ends its connections.
    GivenBack,
}

/// An outside command between its prepare and its record, as a crash or a slow provider leaves it.
pub struct HalfWay {
    received: Box<ReceivedCommand>,
    call: OutsideCall,
}

impl std::fmt::Debug for HalfWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HalfWay").field("call", &self.call).finish_non_exhaustive()
    }
}

/// The end of a command's prepare.
#[derive(Debug)]
pub enum AfterPrepare {
    /// The call is due.
    HalfWay(HalfWay),
    /// It is answered already.
    Answered(String),
}

impl Harness {
    /// Does what a worker's start does with a domain's data: the checks, then the setups.
    ///
    /// # Errors
    /// When a check keeps the worker from starting.
    pub async fn begin(
        domain: Domain,
        database_url: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let name = database_url.rsplit('/').next().unwrap_or_default().to_owned();
        let bulkheads = Bulkheads::open(database_url, &name, CONNECTIONS_MAX, &domain, clock.now()).await?;
        let (pool, events, token) = (bulkheads.jobs, Events::new(domain.route), CancellationToken::new());
        let resources = Resources { pool, clock, token, events };
        for check in domain.checks {
            check(resources.clone()).await?;
        }
        for setup in domain.setups {
            setup(resources.clone()).await;
        }
        Ok(())
    }

    /// Opens the very database of `database_url`, with the domain's tables and the runtime's.
    pub async fn open(domain: Domain, database_url: &str, clock: Arc<dyn Clock>) -> Self {
        let name = database_url.rsplit('/').next().unwrap_or_default().to_owned();
        let opened = Bulkheads::open(database_url, &name, CONNECTIONS_MAX, &domain, clock.now()).await;
        let bulkheads = opened.unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)));
        // One pool for reads, jobs and the test's own queries.
        let bulkheads = Bulkheads { reads: bulkheads.reads.clone(), jobs: bulkheads.reads.clone(), ..bulkheads };
        let events = Events::new(domain.route);
        let resources = Resources {
            pool: bulkheads.reads.clone(),
            clock: Arc::clone(&clock),
            token: CancellationToken::new(),
            events: events.clone(),
        };
        let engine = Engine {
            bulkheads,
            clock,
            events,
            lock_order: domain.lock_order,
            domain: domain.route.as_str(),
            readiness: Readiness::new(),
            stop: CancellationToken::new(),
        };
        let reads = running_domain::nested_reads(domain.route, domain.reads, &resources);
        let pruner =
            Pruner::new(engine.bulkheads.jobs.clone(), Arc::clone(&engine.clock), engine.domain, domain.retentions);
        Self {
            engine,
            route: domain.route,
            commands: domain.commands,
            subscriptions: domain.subscriptions,
            pruner,
            resources,
            reads,
            idle: Mutex::default(),
        }
    }

    /// The domain's database.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.engine.bulkheads.reads
    }

    /// The resources that reads and background work of the domain would get.
    #[must_use]
    pub const fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The domain's reads, under `/internal/<domain>`, without the token's guard.
    pub fn reads(&self) -> Router {
        self.reads.clone()
    }

    /// Delivers a command and carries it out to its end.
    ///
    /// # Panics
    /// When it is not answered.
    pub async fn deliver<C: Command>(&self, id: &CommandId, command: &C) -> Outcome<C::Reply> {
        let text = self.deliver_text(id, command).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("`{text}` is no outcome of {}: {error}", C::NAME))
    }

    /// As [`Harness::deliver`], but answers the outcome's bytes.
    ///
    /// # Panics
    /// When it is not answered.
    pub async fn deliver_text<C: Command>(&self, id: &CommandId, command: &C) -> String {
        match self.deliver_raw(&self.envelope(id, command)).await {
            Delivered::Answered(text) => text,
            other => panic!("{} was not answered: {other:?}", C::NAME),
        }
    }

    /// Delivers a whole envelope, which may be wrong.
    pub async fn deliver_raw(&self, envelope: &CommandEnvelope) -> Delivered {
        match ReceivedCommand::read(delivery_of(envelope), self.route, &self.commands) {
            Ok(received) => match expired(&received, self.engine.clock.now()) {
                Some(reply) => Delivered::Answered(reply.outcome.0),
                None => self.finish(self.run_one(received).await).await,
            },
            Err(unreadable) => Delivered::DeadLettered(unreadable.why.to_string()),
        }
    }

    /// Delivers commands of one type in one transaction (the first parts of outside ones), then the rest.
    pub async fn deliver_together<C: Command>(&self, commands: &[(CommandId, C)]) -> Vec<String> {
        let envelopes: Vec<_> = commands.iter().map(|(id, command)| self.envelope(id, command)).collect();
        self.deliver_all(&envelopes).await
    }

    /// Delivers envelopes of any commands of the domain in one transaction, in this order. Where outside calls are due,
    /// they are all made before the first of them is recorded, in a second transaction.
    ///
    /// # Panics
    /// When one is not answered.
    pub async fn deliver_all(&self, envelopes: &[CommandEnvelope]) -> Vec<String> {
        let batch = envelopes.iter().map(|envelope| self.read(envelope)).collect();
        let (mut texts, mut called, mut records) = (Vec::new(), Vec::new(), Vec::new());
        for (place, Settled { received, follow_up }) in self.run_all(batch).await.into_iter().enumerate() {
            match follow_up {
                FollowUp::Call(call) => match self.call(HalfWay { received: Box::new(received), call }).await {
                    Ok(record) => {
                        texts.push(String::new());
                        called.push(place);
                        records.push(record);
                    }
                    Err(delivered) => texts.push(answered(delivered)),
                },
                follow_up => texts.push(answered(delivered(follow_up))),
            }
        }
        for (place, settled) in called.into_iter().zip(self.run_all(records).await) {
            texts[place] = answered(delivered(settled.follow_up));
        }
        texts
    }

    /// Runs the first transaction of a command only; what comes back is what a crash would leave behind.
    pub async fn prepare<C: Command>(&self, id: &CommandId, command: &C) -> AfterPrepare {
        let Settled { received, follow_up } = self.run_one(self.read(&self.envelope(id, command))).await;
        match follow_up {
            FollowUp::Reply(reply) => AfterPrepare::Answered(reply.outcome.0),
            FollowUp::Call(call) => AfterPrepare::HalfWay(HalfWay { received: Box::new(received), call }),
            FollowUp::GiveBack => panic!("{} ends its connections", C::NAME),
        }
    }

    /// Makes the outside call and then dies: the record never happens.
    ///
    /// # Panics
    /// When the call has no definite answer.
    pub async fn call_and_crash(&self, half_way: HalfWay) {
        let HalfWay { received, call } = half_way;
        match outside::call(&self.engine, &received, &call).await {
            Called::Answer(_) => {}
            Called::Fault(_) | Called::Unclear(_) | Called::Stopped => panic!("the call had no definite answer"),
        }
    }

    /// Goes on where a prepare stopped: calls, and records.
    pub async fn finish_half_way(&self, half_way: HalfWay) -> Delivered {
        match self.call(half_way).await {
            Ok(record) => delivered(self.run_one(record).await.follow_up),
            Err(delivered) => delivered,
        }
    }

    /// Makes the outside call; answers the command with its record due.
    async fn call(&self, half_way: HalfWay) -> Result<ReceivedCommand, Delivered> {
        let HalfWay { mut received, call } = half_way;
        let answer = match outside::call(&self.engine, &received, &call).await {
            Called::Answer(answer) => answer,
            Called::Fault(reply) => return Err(Delivered::Answered(reply.outcome.0)),
            Called::Unclear(_) | Called::Stopped => return Err(Delivered::Unanswered),
        };
        received.part = Part::Record { handler: call.handler, prepared: call.prepared, answer };
        Ok(*received)
    }

    /// An envelope as the orchestrator would send it, of a command that does not expire.
    ///
    /// # Panics
    /// When the command is not JSON.
    #[must_use]
    pub fn envelope<C: Command>(&self, id: &CommandId, command: &C) -> CommandEnvelope {
        let payload = serde_json::value::to_raw_value(command).expect("a command is JSON");
        CommandEnvelope {
            message_id: MessageId::from_uuid(kit::ids::uuid_v7()),
            command_id: id.clone(),
            attempt: 1,
            name: C::NAME.to_owned(),
            version: C::VERSION,
            route: C::ROUTE,
            reply_to: REPLY_TO.to_owned(),
            expires_at: None,
            traceparent: None,
            parcels: true,
            payload,
        }
    }

    /// The events that wait in the outbox, oldest first: kind and the CloudEvent.
    ///
    /// # Panics
    /// When the outbox cannot be read.
    pub async fn events(&self) -> Vec<(String, contract::event::CloudEvent)> {
        let rows = sqlx::query_as::<_, (String, String)>("SELECT kind, body FROM runtime.outbox ORDER BY position");
        let rows = rows.fetch_all(self.pool()).await.expect("the outbox is readable");
        let read = |(kind, body): (String, String)| (kind, serde_json::from_str(&body).expect("an event is JSON"));
        rows.into_iter().map(read).collect()
    }

    /// Removes all rows, the runtime's and the domain's own, that have been kept for long enough; answers how many.
    ///
    /// # Panics
    /// When the database does not do it.
    pub async fn prune(&self) -> u64 {
        self.pruner.prune_all().await.expect("ended rows can be removed")
    }

    /// Takes the inbox's key away: what is left checks and then acts. The overlap of S9 must go wrong now, or the
    /// test of it tests nothing.
    ///
    /// # Panics
    /// When the database does not do it.
    pub async fn mutate_into_check_then_act(&self) {
        let drop_key = sqlx::query("ALTER TABLE runtime.inbox DROP CONSTRAINT inbox_pkey");
        drop_key.execute(self.pool()).await.expect("the key can be dropped");
    }

    async fn finish(&self, settled: Settled) -> Delivered {
        match settled.follow_up {
            FollowUp::Call(call) => self.finish_half_way(HalfWay { received: Box::new(settled.received), call }).await,
            follow_up => delivered(follow_up),
        }
    }

    async fn run_one(&self, received: ReceivedCommand) -> Settled {
        self.run_all(vec![received]).await.pop().expect("one command has one result")
    }

    /// Carries out the due parts of all, as a consumer would that has taken them at once.
    async fn run_all(&self, batch: Vec<ReceivedCommand>) -> Vec<Settled> {
        let mut own = self.own_connection();
        let mut parts = Engine::parts(batch);
        let mut all = Vec::new();
        while let Some(settled) = self.engine.settle(&mut own, &mut parts).await.expect("nothing stops the harness") {
            all.extend(settled);
        }
        self.put_back(own);
        all
    }

    fn own_connection(&self) -> OwnConnection {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| self.engine.bulkheads.consumer())
    }

    fn put_back(&self, own: OwnConnection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(own);
    }

    fn read(&self, envelope: &CommandEnvelope) -> ReceivedCommand {
        let received = ReceivedCommand::read(delivery_of(envelope), self.route, &self.commands);
        received.unwrap_or_else(|unreadable| panic!("{}", unreadable.why))
    }
}

impl std::fmt::Debug for Harness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Harness").field("route", &self.route).finish_non_exhaustive()
    }
}

/// The fate of a command whose call, if any, was made.
fn delivered(follow_up: FollowUp) -> Delivered {
    match follow_up {
        FollowUp::Reply(reply) => Delivered::Answered(reply.outcome.0),
        FollowUp::Call(_) => panic!("a record asked for another call"),
        FollowUp::GiveBack => Delivered::GivenBack,
    }
}

fn answered(delivered: Delivered) -> String {
    match delivered {
        Delivered::Answered(text) => text,
        other => panic!("a command was not answered: {other:?}"),
    }
}

/// An envelope as a queue hands it out for the first time.
fn delivery_of(envelope: &CommandEnvelope) -> Delivery {
    let body = serde_json::to_vec(envelope).expect("an envelope is JSON");
    Delivery {
        message: Message::new(envelope.message_id.to_string(), KIND_COMMAND, body),
        exchange: Some(Exchange::Commands),
        routing_key: envelope.route.as_str().to_owned(),
        queue: QueueName::commands(envelope.route.as_str()),
        redelivered: false,
        delivery_count: 0,
        tag: DeliveryTag { epoch: 0, number: 0 },
    }
}

/// The action of a step of a new saga.
///
/// # Panics
/// When `step` is no step's name.
#[must_use]
pub fn action_of_a_new_saga(step: &str) -> CommandId {
    let saga = SagaId::from_uuid(kit::ids::uuid_v7());
    CommandId { saga, step: StepName::new(step).expect("a step's name"), op: Op::Action, generation: 1 }
}

/// The compensation of the same step.
#[must_use]
pub fn compensation_of(action: &CommandId) -> CommandId {
    CommandId { op: Op::Compensation, generation: 1, ..action.clone() }
}

/// The state that must be the same before and after: the rows of some queries, as JSON.
#[derive(Debug, Clone)]
pub struct Snapshot(Vec<String>);

impl Snapshot {
    /// `queries` select what an undone command must have left as it was, such as `SELECT held, sold FROM cabin`.
    pub fn new<Q: Into<String>>(queries: impl IntoIterator<Item = Q>) -> Self {
        Self(queries.into_iter().map(Into::into).collect())
    }

    /// The rows now.
    ///
    /// # Panics
    /// When a query is wrong.
    pub async fn take(&self, pool: &PgPool) -> Vec<String> {
        let mut rows = Vec::new();
        for query in &self.0 {
            let sql = format!("SELECT coalesce(jsonb_agg(t ORDER BY t::text), '[]')::text FROM ({query}) AS t");
            let taken = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql)).fetch_one(pool).await;
            rows.push(taken.unwrap_or_else(|error| panic!("the snapshot `{query}` failed: {error}")));
        }
        rows
    }
}
