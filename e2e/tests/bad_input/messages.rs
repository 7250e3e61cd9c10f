//! Messages that nobody can handle, put into every queue of the broker: each becomes a dead letter with its reason,
//! shown on its saga when it still tells which, and nobody behind it waits.

use std::time::Duration;

use contract::{
    Command as _, Route, SagaId,
    accommodation::HoldRooms,
    envelope::{KIND_COMMAND, KIND_REPLY},
    feed::NotifyUser,
    flights::{HoldSeats, ReleaseSeats},
    order::CreateOrder,
    payment::AuthorizePayment,
};
use e2e::{Client, Findings, Part, System, order_of, wait};
use messaging::{Broker as _, Exchange, Message, Outgoing};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{SETTLED_WITHIN, flight, with, without};

/// How many shards an installation has unless it is told otherwise.
const SHARDS: u16 = 4;

/// A strange message and the dead letter that it must become.
struct Strange {
    outgoing: Outgoing,
    /// The letter's queue.
    queue: String,
    /// A part of the letter's reason.
    reason: &'static str,
    /// A part of its body.
    mark: String,
    /// Whose it is.
    saga: Option<SagaId>,
}

/// Those that become letters, and those that must not.
#[derive(Default)]
struct Strangers(Vec<Strange>, Vec<Outgoing>);

impl Strangers {
    /// A message whose body is marked, so that its letter is known again.
    fn add(
        &mut self,
        to: (Exchange, &str, &str),
        kind: &str,
        body: Vec<u8>,
        reason: &'static str,
        saga: Option<SagaId>,
    ) {
        let mark = format!("stranger-{}-", self.0.len());
        let mut marked = body;
        marked.extend_from_slice(mark.as_bytes());
        self.add_marked(to, kind, marked, &mark, reason, saga);
    }

    /// A message of which `mark` is a part.
    fn add_marked(
        &mut self,
        (exchange, key, queue): (Exchange, &str, &str),
        kind: &str,
        body: Vec<u8>,
        mark: &str,
        reason: &'static str,
        saga: Option<SagaId>,
    ) {
        let message = Message::new(kit::ids::message_id().to_string(), kind, body);
        let outgoing = Outgoing::to(exchange, key, message);
        self.0.push(Strange { outgoing, queue: queue.to_owned(), reason, mark: mark.to_owned(), saga });
    }

    /// A JSON document with a mark among its members.
    fn add_json(
        &mut self,
        to: (Exchange, &str, &str),
        kind: &str,
        mut body: Value,
        reason: &'static str,
        saga: Option<SagaId>,
    ) {
        let mark = format!("stranger-{}-", self.0.len());
        body["mark"] = json!(mark);
        self.add_marked(to, kind, serde_json::to_vec(&body).unwrap(), &mark, reason, saga);
    }
}

pub(crate) async fn in_every_queue(system: &mut System, client: &Client, operator: &Client, findings: &mut Findings) {
    let offer = flight(client, 36).await;
    let (order_id, finished) = client.place("saga_finished", &order_of(&[&offer], "tok_ok")).await.unwrap();
    client.until_settled(&order_id, SETTLED_WITHIN).await;
    until_status(operator, &finished, "completed").await;
    let finished: SagaId = finished.parse().unwrap();

    // A saga that waits for a domain that is away.
    system.kill(Part::Program("payment"));
    let (held_order, held) = client.place("held", &order_of(&[&offer], "tok_ok")).await.unwrap();
    let held: SagaId = held.parse().unwrap();
    until_step(operator, held, "authorize-payment", "dispatched").await;

    let broker = system.broker().await.unwrap();
    let mut strangers = Strangers::default();
    dead_for_a_running_saga(&mut strangers, held);
    commands(&mut strangers, finished);
    let ghost = kit::ids::saga_id(1, SHARDS);
    replies(&mut strangers, finished, ghost);
    others(system, &mut strangers).await;
    let nobody = kit::ids::saga_id(2, SHARDS);
    ghosts(&mut strangers, nobody);
    let batch = strangers.0.iter().map(|one| one.outgoing.clone()).collect();
    for (strange, sent) in strangers.0.iter().zip(broker.publish(batch).await) {
        findings.that("a strange message was sent", sent.is_ok(), (&strange.queue, &sent));
    }
    for sent in broker.publish(strangers.1.clone()).await {
        findings.that("a command that is answered nowhere was sent", sent.is_ok(), &sent);
    }
    // The attempt whose command died is over at once, and so is one that is answered with another type.
    until_journal(operator, held, "command_dead_lettered").await;
    until_step(operator, held, "authorize-payment", "dispatched").await;
    unreadable_reply(&broker, held).await;
    until_journal(operator, held, "reply_unreadable").await;
    late_replies(&broker, finished).await;
    namesakes(&broker, operator, findings).await;

    system.revive("payment").await.unwrap();
    findings_of_letters(operator, &strangers, findings).await;
    let of_nobody = operator.get(&format!("/ops/api/dead-letters?saga_id={nobody}")).await.unwrap();
    let count = of_nobody.body["items"].as_array().map_or(0, Vec::len);
    findings.that("a dead command is one letter", count == 2, &of_nobody);
    let shown = operator.get(&format!("/ops/api/sagas/{finished}")).await.unwrap();
    let letters = shown.body["dead_letters"].as_array().map_or(0, Vec::len);
    findings.that("the letters of a finished saga", letters >= 20, letters);
    let shown = operator.get(&format!("/ops/api/sagas/{held}")).await.unwrap();
    let letters = shown.body["dead_letters"].as_array().cloned().unwrap_or_default();
    let named = letters.iter().any(|letter| letter["command_id"] == format!("{held}:authorize-payment:action:1"));
    findings.that("the letters of a running saga", named, &letters);
    redriven(system, operator, findings).await;

    let settled = client.until_settled(&held_order, SETTLED_WITHIN).await;
    findings.that("the saga that waited", settled["status"] == "confirmed", &settled);
    let uuid = uuid::Uuid::try_parse(&held_order[4..]).unwrap();
    let payments: Vec<String> = sqlx::query_scalar("SELECT status FROM payment WHERE order_id = $1")
        .bind(uuid)
        .fetch_all(&mut system.database("sojourn_payment").await.unwrap())
        .await
        .unwrap();
    findings.that("it is paid once, however often it was asked for", payments == ["captured"], &payments);
    system.until_queues_are_empty(Duration::from_secs(60)).await;
}

/// A command of the held saga that lands where nobody knows it: the attempt is over, and the saga learns it at once.
fn dead_for_a_running_saga(strangers: &mut Strangers, held: SagaId) {
    let command = command("flights", AuthorizePayment::NAME, &format!("{held}:authorize-payment:action:1"));
    let to = (Exchange::Commands, "flights", "commands.flights");
    strangers.add_json(to, KIND_COMMAND, command, "is not a command of `flights`", Some(held));
}

fn commands(strangers: &mut Strangers, finished: SagaId) {
    let id = format!("{finished}:create-order:action:1");
    for route in Route::ALL {
        let domain = route.as_str();
        let queue = format!("commands.{domain}");
        let to = (Exchange::Commands, domain, queue.as_str());
        let name = match route {
            Route::Order => CreateOrder::NAME,
            Route::Accommodation => HoldRooms::NAME,
            Route::Flights => HoldSeats::NAME,
            Route::Payment => AuthorizePayment::NAME,
            Route::Feed => NotifyUser::NAME,
            // Nothing is sent to the others yet, or to a new domain: what no domain knows is tried all the same.
            _ => "",
        };
        let good = command(domain, name, &id);
        let unreadable = "the message is not a readable command";
        strangers.add(to, KIND_COMMAND, b"not json \xff\x00".to_vec(), unreadable, None);
        strangers.add(to, KIND_COMMAND, vec![b'['; 60_000], unreadable, None);
        strangers.add(to, KIND_COMMAND, vec![b' '; 100_000], "bytes, more than", None);
        strangers.add_json(to, KIND_COMMAND, json!({}), unreadable, None);
        strangers.add_json(to, KIND_COMMAND, without(&good, "", "payload"), unreadable, Some(finished));
        strangers.add_json(to, KIND_COMMAND, with(&good, "/expires_at", "soon"), unreadable, Some(finished));
        strangers.add_json(to, KIND_COMMAND, with(&good, "/command_id", "nonsense"), unreadable, None);
        strangers.add_json(
            to,
            KIND_COMMAND,
            with(&good, "/name", "nobody.knows\0this"),
            "is not a command of",
            Some(finished),
        );
        strangers.add_json(to, "sojourn.riddle", good.clone(), "kind `sojourn.riddle`", Some(finished));
        let elsewhere = if route == Route::Order { "feed" } else { "order" };
        strangers.add_json(
            to,
            KIND_COMMAND,
            with(&good, "/route", elsewhere),
            "but lay in the queue of",
            Some(finished),
        );
        if name.is_empty() {
            continue;
        }
        strangers.add_json(
            to,
            KIND_COMMAND,
            with(&good, "/version", 99),
            "version 99 is not known here",
            Some(finished),
        );
        strangers.add_json(to, KIND_COMMAND, good.clone(), "the payload of", Some(finished));
        strangers.add_json(
            to,
            KIND_COMMAND,
            with(&good, "/reply_to", ""),
            "the reply address has 0 bytes",
            Some(finished),
        );
        let undo = with(&good, "/command_id", format!("{finished}:create-order:compensation:1"));
        strangers.add_json(to, KIND_COMMAND, undo, "undoes nothing", Some(finished));
    }
}

fn replies(strangers: &mut Strangers, finished: SagaId, ghost: SagaId) {
    let good = reply(&format!("{finished}:create-order:action:1"));
    for shard in 0..SHARDS {
        let queue = format!("replies.{shard}");
        let to = (Exchange::Replies, queue.as_str(), queue.as_str());
        strangers.add(to, KIND_REPLY, b"not json \xff\x00".to_vec(), "the message is not a readable reply", None);
        strangers.add(to, KIND_REPLY, vec![b' '; 100_000], "bytes, more than", None);
        strangers.add(to, "", Vec::new(), "the message's kind `` is not one", None);
        strangers.add_json(to, "sojourn.riddle", good.clone(), "kind `sojourn.riddle`", Some(finished));
        strangers.add_json(to, KIND_REPLY, with(&good, "/outcome", "perhaps"), "not a readable reply", Some(finished));
        for kind in ["act", "dead_command", "watch"] {
            strangers.add_json(to, &format!("sojourn.lane.{kind}"), json!({}), "the message is not a readable", None);
        }
        let unknown = ghost.placed_on(shard, SHARDS);
        let lost = reply(&format!("{unknown}:create-order:action:1"));
        strangers.add_json(to, KIND_REPLY, lost, "no saga", Some(unknown));
        if shard == finished.shard(SHARDS) {
            for work in ["dance-tango:action:1", "create-order:action:9", "create-order:compensation:1"] {
                let never = reply(&format!("{finished}:{work}"));
                strangers.add_json(to, KIND_REPLY, never, "never sent", Some(finished));
            }
        } else {
            strangers.add_json(to, KIND_REPLY, good.clone(), "belongs to shard", Some(finished));
        }
    }
}

/// Commands for sagas that never were: a dead one is one letter, not two; what one that can be carried out leads to
/// (nothing, since there is nothing to undo) is a reply that nobody awaits. A reply address that is nobody's holds
/// nothing up.
fn ghosts(strangers: &mut Strangers, ghost: SagaId) {
    let to = (Exchange::Commands, "flights", "commands.flights");
    let id = format!("{ghost}:hold-seats:compensation:1");
    let mut undo = command("flights", ReleaseSeats::NAME, &id);
    undo["payload"] = json!({ "order_id": kit::ids::order_id().to_string() });
    let mut newer = with(&undo, "/command_id", format!("{ghost}:hold-seats:compensation:3"));
    newer["version"] = json!(7);
    strangers.add_json(to, KIND_COMMAND, newer, "version 7 is not known here", Some(ghost));
    let queue = format!("replies.{}", ghost.shard(SHARDS));
    let message = |body: &Value| {
        Message::new(kit::ids::message_id().to_string(), KIND_COMMAND, serde_json::to_vec(body).unwrap())
    };
    let alive = message(&with(&undo, "/reply_to", queue.as_str()));
    strangers.0.push(Strange {
        outgoing: Outgoing::command("flights", alive),
        queue,
        reason: "no saga",
        mark: id,
        saga: Some(ghost),
    });
    let nowhere = with(&undo, "/command_id", format!("{ghost}:hold-seats:compensation:2"));
    let nowhere = message(&with(&nowhere, "/reply_to", "replies.nowhere"));
    strangers.1.push(Outgoing::command("flights", nowhere));
}

/// The dead letters themselves, each orchestrator's own queue, and the queues of events.
async fn others(system: &System, strangers: &mut Strangers) {
    let to = (Exchange::DeadLetters, "", "dead-letters");
    strangers.add(to, "sojourn.riddle\0", b"who am i? \xff\x00".to_vec(), "without a reason", None);
    strangers.add(to, "", vec![b' '; 2_000_000], "without a reason", None);
    for queue in system.queues().await.unwrap().into_keys() {
        if queue.starts_with("orchestrator.") {
            let to = (Exchange::Replies, queue.as_str(), queue.as_str());
            strangers.add(to, "sojourn.riddle", Vec::new(), "kind `sojourn.riddle`", None);
            strangers.add_json(to, "sojourn.orchestrator.act_answer", json!({}), "the message is not a readable", None);
        }
    }
}

/// Strangers may give all their messages one id, or none: each is kept all the same.
async fn namesakes(broker: &messaging::rabbitmq::RabbitBroker, operator: &Client, findings: &mut Findings) {
    let mut batch = Vec::new();
    for id in ["1", "1", "1", "", ""] {
        let body = format!("namesake-{}", batch.len());
        batch.push(Outgoing::command("order", Message::new(id, "", body)));
    }
    let count = batch.len();
    findings.that("namesakes were sent", broker.publish(batch).await.iter().all(Result::is_ok), ());
    let seen = wait::until("the namesakes' letters", Duration::from_secs(30), || async {
        let letters = letters(operator).await?;
        let seen =
            letters.iter().filter(|letter| letter["body"].as_str().is_some_and(|body| body.starts_with("namesake-")));
        let seen = seen.count();
        if seen == count { Ok(seen) } else { Err(format!("{seen} of {count}")) }
    })
    .await;
    findings.that("namesakes are kept", seen == count, seen);
}

async fn findings_of_letters(operator: &Client, strangers: &Strangers, findings: &mut Findings) {
    let find = |letters: &[Value], strange: &Strange| {
        let same = |letter: &&Value| letter["body"].as_str().is_some_and(|body| body.contains(&strange.mark));
        letters.iter().find(same).cloned()
    };
    // Too large bodies are shown cut: their marks are behind the cut.
    let marked: Vec<&Strange> = strangers.0.iter().filter(|one| one.outgoing.message.body.len() < 70_000).collect();
    let letters = wait::until("every strange message's letter", Duration::from_secs(60), || async {
        let letters = letters(operator).await?;
        let missing: Vec<_> =
            marked.iter().filter(|one| find(&letters, one).is_none()).map(|one| (&one.queue, one.reason)).collect();
        if missing.is_empty() { Ok(letters) } else { Err(format!("{} missing: {missing:?}", missing.len())) }
    })
    .await;
    for strange in marked {
        let letter = find(&letters, strange).unwrap();
        let saga = strange.saga.map_or(Value::Null, |saga| json!(saga.to_string()));
        let right = letter["queue"] == strange.queue.as_str()
            && letter["reason"].as_str().is_some_and(|reason| reason.contains(strange.reason))
            && letter["saga_id"] == saga;
        findings.that(
            &format!("a letter of {} because of `{}`", strange.queue, strange.reason),
            right,
            (&letter, &strange.saga),
        );
    }
    for strange in strangers.0.iter().filter(|one| one.outgoing.message.body.len() >= 70_000) {
        let same = |letter: &&Value| {
            letter["queue"] == strange.queue.as_str()
                && letter["reason"].as_str().is_some_and(|reason| reason.contains(strange.reason))
        };
        findings.that(
            "the letter of a large message",
            letters.iter().any(|letter| same(&letter)),
            (&strange.queue, strange.reason),
        );
    }
}

/// The reply to the work that is awaited, but of another type: a failure of its attempt, not of the saga.
async fn unreadable_reply(broker: &messaging::rabbitmq::RabbitBroker, held: SagaId) {
    let queue = format!("replies.{}", held.shard(SHARDS));
    let attempts = (1..=10).map(|attempt| {
        let mut body = with(&reply(&format!("{held}:authorize-payment:action:1")), "/attempt", attempt);
        body["reply"] = json!({ "nothing": "of this" });
        let message = Message::new(kit::ids::message_id().to_string(), KIND_REPLY, serde_json::to_vec(&body).unwrap());
        Outgoing::reply(queue.as_str(), message)
    });
    for sent in broker.publish(attempts.collect()).await {
        sent.unwrap();
    }
}

/// Late replies of work that was answered long ago are no news, and no dead letters.
async fn late_replies(broker: &messaging::rabbitmq::RabbitBroker, finished: SagaId) {
    let late = |outcome: Value| {
        let mut body = reply(&format!("{finished}:create-order:action:1"));
        for (name, value) in outcome.as_object().unwrap() {
            body[name] = value.clone();
        }
        body["mark"] = json!("late-reply");
        let message = Message::new(kit::ids::message_id().to_string(), KIND_REPLY, serde_json::to_vec(&body).unwrap());
        Outgoing::reply(format!("replies.{}", finished.shard(SHARDS)), message)
    };
    let batch = vec![
        late(json!({ "outcome": "done", "reply": {} })),
        late(json!({ "outcome": "refused", "code": "flight_sold_out", "message": "late" })),
        late(json!({ "outcome": "faulted", "code": "command_expired", "message": "late" })),
    ];
    for sent in broker.publish(batch).await {
        sent.unwrap();
    }
}

/// A letter can be sent again, and dies again as a new one when nothing has changed. For a command its step is asked to be
/// done again, which the saga judges.
async fn redriven(system: &System, operator: &Client, findings: &mut Findings) {
    let all = letters(operator).await.unwrap();
    findings.that("late replies are no letters", !all.iter().any(|one| one.to_string().contains("late-reply")), ());
    let pick = |reason: &str| {
        all.iter().find(|one| one["reason"].as_str().is_some_and(|text| text.contains(reason))).cloned().unwrap()
    };
    let unroutable = pick("without a reason");
    let because = Some(json!({ "reason": "the worker was repaired" }));
    let redrive = |letter: &Value| format!("/ops/api/dead-letters/{}/redrive", letter["id"]);
    let answer = operator.call(Method::POST, &redrive(&unroutable), because.clone()).await.unwrap();
    findings.problem("a letter of no exchange", &answer, 409, "dead_letter_exchange_unknown", &[]);
    let command = pick("version 99 is not known here");
    let over = operator.call(Method::POST, &redrive(&command), because.clone()).await.unwrap();
    findings.problem("a command of a saga that has ended", &over, 409, "saga_finished", &[]);
    let strange = |one: &&Value| {
        one["queue"] == "commands.order" && one["reason"].as_str().is_some_and(|text| text.contains("sojourn.riddle"))
    };
    let letter = all.iter().find(strange).cloned().unwrap();
    let without_reason = operator.call(Method::POST, &redrive(&letter), Some(json!({ "reason": "" }))).await.unwrap();
    findings.problem("a redrive without a reason", &without_reason, 422, "reason_invalid", &["#/reason"]);
    let id = letter["id"].to_string();
    let command = ["dead-letters", "redrive", &id, "--reason", "the worker was repaired", "-o", "json"];
    let ended = system.sagactl(&operator.token, &command).await.unwrap();
    let sent: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    findings.that("a letter sent again", ended.code == Some(0) && sent[0]["redriven_at"].is_string(), &ended);
    let again = system.sagactl(&operator.token, &command).await.unwrap();
    let said = again.code == Some(6) && again.stderr.contains("dead_letter_redriven");
    findings.that("a letter is sent again once", said, &again);
    let saga = letter["saga_id"].as_str().unwrap();
    let listed = system.sagactl(&operator.token, &["dead-letters", "list", "--saga", saga]).await.unwrap();
    let said = listed.code == Some(0) && listed.stdout.contains("sojourn.riddle");
    findings.that("the letters of a saga as sagactl lists them", said, &listed);
    wait::until("the same letter as a new one", Duration::from_secs(30), || async {
        let copies = letters(operator).await?.into_iter().filter(|one| one["body"] == letter["body"]).count();
        if copies == 2 { Ok(()) } else { Err(format!("{copies}")) }
    })
    .await;
}

/// The newest two hundred.
async fn letters(operator: &Client) -> Result<Vec<Value>, String> {
    let answer = operator.get("/ops/api/dead-letters?page_size=200").await.map_err(|error| error.to_string())?;
    answer.body["items"].as_array().cloned().ok_or_else(|| format!("{answer:?}"))
}

fn command(domain: &str, name: &str, id: &str) -> Value {
    json!({
        "message_id": kit::ids::message_id().to_string(),
        "command_id": id,
        "attempt": 1,
        "name": name,
        "version": 1,
        "route": domain,
        "reply_to": "replies.0",
        "expires_at": "2999-01-01T00:00:00Z",
        "payload": { "nothing": "of this" },
    })
}

fn reply(id: &str) -> Value {
    json!({
        "message_id": kit::ids::message_id().to_string(),
        "command_id": id,
        "attempt": 1,
        "outcome": "done",
        "reply": {},
    })
}

/// Waits until a saga stands so.
pub(crate) async fn until_status(operator: &Client, saga: &str, status: &str) {
    wait::until(&format!("{saga} to be {status}"), SETTLED_WITHIN, || async {
        let shown = operator.get(&format!("/ops/api/sagas/{saga}")).await.map_err(|error| error.to_string())?;
        if shown.body["status"] == status { Ok(()) } else { Err(shown.body.to_string()) }
    })
    .await;
}

/// Waits until one step of a saga stands so.
pub(crate) async fn until_step(operator: &Client, saga: SagaId, step: &str, status: &str) {
    wait::until(&format!("{step} to be {status}"), SETTLED_WITHIN, || async {
        let shown = operator.get(&format!("/ops/api/sagas/{saga}")).await.map_err(|error| error.to_string())?;
        let steps = shown.body["steps"].as_array().cloned().unwrap_or_default();
        if steps.iter().any(|one| one["name"] == step && one["status"] == status) {
            Ok(())
        } else {
            Err(shown.body.to_string())
        }
    })
    .await;
}

async fn until_journal(operator: &Client, saga: SagaId, word: &str) {
    wait::until(&format!("`{word}` in the journal"), SETTLED_WITHIN, || async {
        let journal =
            operator.get(&format!("/ops/api/sagas/{saga}/journal")).await.map_err(|error| error.to_string())?;
        let text = journal.body.to_string();
        if text.contains(word) { Ok(()) } else { Err(text) }
    })
    .await;
}
