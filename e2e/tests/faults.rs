//! Three hundred orders, bookings and holds of flights, of every way to pay, while every process and both servers are killed,
//! one after another, and while operators cancel or pause some of them, or hold back a step, a definition or a domain over a
//! kill, and news of payments come late, twice or forged.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{Days, NaiveDate};
use e2e::{Client, Part, Response, System, domains, order_of, wait};
use futures::{StreamExt, stream};
use kit::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;

const ORDERS: usize = 300;
/// Orders under way at once.
const IN_FLIGHT: usize = 24;
/// So many of them end before the next kill.
const ENDED_BEFORE_KILL: usize = 5;
/// The flight to the islands' airstrip has so many seats a day.
const SMALL_FLIGHT_SEATS: usize = 3;
/// Days over which the orders are spread.
const DAYS: u64 = 40;
/// From so many days on, an order may be paid by a deposit first.
const FAR: u64 = 100;
/// The address of holds.
const FLIGHT_HOLDS: &str = "/v1/flight-holds";
/// The end of a hold that its client let go, which has no reason.
const RELEASED: &str = "released";
/// The pauses that are in force while something is killed and restarted, in turn.
const PAUSES: [&str; 3] = ["order@2:capture-payment", "booking@1", "feed"];
/// The small flight is sold to those who come first.
const SMALL_FLIGHT: Expected = Expected::ConfirmedOr("flight_sold_out");
/// One order survives several outages, each with its own waits: minutes, on a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(240);

/// The victims, in this order: an orchestrator, the domains with the broker's end in their midst, the databases, and
/// the orchestrator that took over.
fn victims() -> Vec<Part> {
    let mut victims: Vec<Part> = domains().map(Part::Program).collect();
    victims.insert(victims.len() / 2, Part::RabbitMq);
    victims.insert(0, Part::Program("orchestrator-1"));
    victims.extend([Part::PostgreSql, Part::Program("orchestrator-2")]);
    victims
}

/// Each kill lets so many further orders begin, so that it hits orders and others meet its outage, however fast the
/// machine is.
fn orders_per_kill() -> usize {
    ORDERS.div_ceil(victims().len() + 1)
}

/// A request of a client, and what must come of it.
struct Wish {
    path: &'static str,
    body: Value,
    doing: Doing,
    expected: Expected,
}

/// The acts of people while the order is under way.
#[derive(Debug, Clone, Copy)]
enum Doing {
    Nothing,
    /// The client goes to the page of 3-D Secure and presses this button.
    AtTheBank(&'static str),
    /// An operator cancels the saga as soon as it is accepted.
    Cancel,
    /// An operator pauses the saga as soon as it is accepted, and resumes it.
    Pause,
    /// The client pays the balance with this token once the deposit is taken.
    PayBalance(&'static str),
    /// The client confirms the hold with this token, twice, and presses the button where the bank asks.
    ConfirmHold(&'static str),
    /// The client lets the hold go.
    ReleaseHold,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    Confirmed,
    Rejected(&'static str),
    /// Confirmed when the other comes too late: first come, first served; an act of an operator after the pivot.
    ConfirmedOr(&'static str),
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_ends_and_all_books_agree_whatever_is_killed() {
    let mut system = System::start().await.unwrap();
    let client = system.client("ada").await.unwrap();
    let operator = system.operator().await.unwrap();
    let wishes = wishes(&client).await;
    let (progress, ended) = watch::channel(0usize);
    let (kills, killed) = watch::channel(0usize);
    let confirmed_small = Arc::new(AtomicUsize::new(0));

    let orders = tokio::spawn({
        let people = People { client: client.clone(), operator: operator.clone() };
        let confirmed_small = Arc::clone(&confirmed_small);
        async move {
            stream::iter(wishes.into_iter().enumerate())
                .for_each_concurrent(IN_FLIGHT, |(number, wish)| {
                    let (people, confirmed_small, progress) = (&people, &confirmed_small, &progress);
                    let mut killed = killed.clone();
                    async move {
                        // The other end goes after the last kill.
                        killed.wait_for(|kills| number < (kills + 1) * orders_per_kill()).await.ok();
                        let small = wish.expected == SMALL_FLIGHT;
                        let status = people.place_and_follow(number, wish).await;
                        if small && status == "confirmed" {
                            confirmed_small.fetch_add(1, Ordering::Relaxed);
                        }
                        progress.send_modify(|ended| *ended += 1);
                    }
                })
                .await;
        }
    });
    let operator = People { client: client.clone(), operator };
    let killed = kill_one_after_another(&mut system, &operator, ended, kills).await;
    if let Err(failure) = orders.await {
        panic!("{failure}\n{}", system.logs());
    }

    assert_eq!(killed, victims().len(), "so many were killed under orders");
    assert_eq!(confirmed_small.load(Ordering::Relaxed), SMALL_FLIGHT_SEATS);
    let queues_empty_within = Duration::from_secs(60);
    system.until_queues_are_empty(queues_empty_within).await;
    let system = &system;
    let tally = wait::until("agreeing books", Duration::from_secs(60), || async {
        system.audit().await.map_err(|error| format!("{error:#}"))
    })
    .await;
    assert_eq!(tally.confirmed + tally.rejected, ORDERS);
    assert_eq!(system.panics(), Vec::<String>::new());
}

/// Returns how many were killed while orders were under way.
async fn kill_one_after_another(
    system: &mut System,
    people: &People,
    mut ended: watch::Receiver<usize>,
    kills: watch::Sender<usize>,
) -> usize {
    let victims = victims();
    for (number, victim) in victims.iter().copied().enumerate() {
        let enough = number * orders_per_kill() + ENDED_BEFORE_KILL;
        // The sender goes with the orders: then there is nothing left to disturb.
        match ended.wait_for(|ended| *ended >= enough).await {
            Ok(ended) if *ended < ORDERS => {}
            Ok(_) | Err(_) => return number,
        }
        people.hold_back(PAUSES[number % PAUSES.len()], number).await;
        system.kill(victim);
        kills.send_replace(number + 1);
        system.restart(victim).await.unwrap();
        people.let_go_on().await;
    }
    victims.len()
}

/// The orders: twenty kinds in turn. One in three of those by air has a stay beside its flight, for three has no divisor
/// in common with twenty.
async fn wishes(client: &Client) -> Vec<Wish> {
    let (mut flights, mut stays, mut far) = (Vec::new(), Vec::new(), Vec::new());
    for day in 0..DAYS {
        flights.push(client.flight("LHR", "MLE", in_days(20 + day), "business", 1).await.unwrap());
        stays.push(client.stay("Maldives", in_days(21 + day), in_days(23 + day), 1).await.unwrap());
        far.push(client.stay("Maldives", in_days(FAR + day), in_days(FAR + 2 + day), 1).await.unwrap());
    }
    let small = client.flight("MLE", "DRV", in_days(20), "economy", 1).await.unwrap();
    let mut far = far.iter().cycle();
    (0..ORDERS)
        .map(|number| {
            let (flight, stay) = (&flights[number % flights.len()], &stays[number % stays.len()]);
            let trip = |flight| if number.is_multiple_of(3) { vec![flight, stay] } else { vec![flight] };
            let mut far = || far.next().unwrap_or(stay);
            let order = |offers: &[&Value], token, doing, expected| Wish {
                path: "/v1/orders",
                body: order_of(offers, token),
                doing,
                expected,
            };
            let booking = |offer: &Value, token, doing| {
                let mut body = order_of(&[], token);
                body["offer_id"] = offer["offer_id"].clone();
                Wish { path: "/v1/bookings", body, doing, expected: Expected::Confirmed }
            };
            let hold = |doing, expected| {
                let mut body = order_of(&[], "");
                body["offer_id"] = flight["offer_id"].clone();
                Wish { path: FLIGHT_HOLDS, body, doing, expected }
            };
            let odd = (number / 20) % 2 == 1;
            let with_deposit = |mut wish: Wish| {
                wish.body["payment"]["plan"] = json!("deposit");
                wish
            };
            let (done, approve) = (Expected::Confirmed, Doing::AtTheBank("approve"));
            match number % 20 {
                1 => order(&trip(flight), "tok_timeout_after_commit", Doing::Nothing, done),
                2 => with_deposit(order(&[far()], "tok_ok", Doing::PayBalance("tok_ok"), done)),
                3 | 13 => order(&trip(flight), "tok_declined", Doing::Nothing, Expected::Rejected("card_declined")),
                4 => order(&trip(flight), "tok_3ds", approve, done),
                5 => booking(far(), "tok_ok", Doing::Nothing),
                6 => order(&trip(flight), "tok_3ds_twice", approve, done),
                7 | 17 => order(&trip(&small), "tok_ok", Doing::Nothing, SMALL_FLIGHT),
                8 => booking(far(), "tok_3ds_late", approve),
                9 | 19 => order(&trip(flight), "tok_ok", Doing::Cancel, Expected::ConfirmedOr("saga_cancelled")),
                10 => with_deposit(booking(far(), "tok_ok", Doing::PayBalance("tok_3ds_twice"))),
                11 => {
                    let refused = Expected::Rejected("authentication_failed");
                    order(&trip(flight), "tok_3ds", Doing::AtTheBank("decline"), refused)
                }
                14 => order(&trip(flight), "tok_3ds_forged", approve, done),
                15 => hold(Doing::ConfirmHold(if odd { "tok_3ds_twice" } else { "tok_ok" }), done),
                18 if odd => hold(Doing::ConfirmHold("tok_declined"), Expected::Rejected("card_declined")),
                18 => hold(Doing::ReleaseHold, Expected::Rejected(RELEASED)),
                12 | 16 => order(&trip(flight), "tok_ok", Doing::Pause, done),
                _ => order(&trip(flight), "tok_ok", Doing::Nothing, done),
            }
        })
        .collect()
}

/// The people who act, each with a token.
struct People {
    client: Client,
    operator: Client,
}

impl People {
    /// Places an order and sees it through; its status in the end.
    async fn place_and_follow(&self, number: usize, wish: Wish) -> String {
        let Wish { path, body, doing, expected } = wish;
        let accepted = self.surely(&self.client, path, &format!("order-{number}"), &body).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "order {number}: {accepted:?}");
        let id = |name: &str| accepted.body[name].as_str().unwrap().to_owned();
        if path == FLIGHT_HOLDS {
            return self.follow_hold(number, &id("hold_id"), doing, expected).await;
        }
        let (order_id, saga) = (id("order_id"), id("operation_id"));
        match doing {
            Doing::Nothing | Doing::PayBalance(_) | Doing::ConfirmHold(_) | Doing::ReleaseHold => {}
            Doing::AtTheBank(button) => self.act_at_the_bank(&format!("/v1/orders/{order_id}"), button).await,
            Doing::Cancel => self.act(&saga, "cancel", &["pivot_passed", "saga_finished", "saga_compensating"]).await,
            Doing::Pause => {
                self.act(&saga, "pause", &["saga_finished"]).await;
                self.act(&saga, "resume", &["saga_finished"]).await;
            }
        }
        let settled = self.client.until_settled(&order_id, SETTLED_WITHIN).await;
        let (status, code) = (settled["status"].as_str().unwrap(), settled["reason"]["code"].as_str());
        match (expected, status, code) {
            (Expected::Confirmed | Expected::ConfirmedOr(_), "confirmed", None) => {}
            (Expected::Rejected(wanted) | Expected::ConfirmedOr(wanted), "rejected", Some(code)) if code == wanted => {}
            _ => panic!("order {number} should be {expected:?}: {settled}"),
        }
        if let Doing::PayBalance(token) = doing {
            self.pay_balance(&order_id, token).await;
        }
        status.to_owned()
    }

    /// Sees a hold through; the status in which its order ends, or would.
    async fn follow_hold(&self, number: usize, hold_id: &str, doing: Doing, expected: Expected) -> String {
        let path = format!("{FLIGHT_HOLDS}/{hold_id}");
        if let Doing::ConfirmHold(token) = doing {
            for _ in 0..2 {
                let (confirm, key) = (format!("{path}/confirm"), format!("confirm-{number}"));
                let body = json!({ "payment": { "token": token } });
                let confirmed = self.surely(&self.client, &confirm, &key, &body).await;
                assert_eq!(confirmed.status, StatusCode::ACCEPTED, "hold {number}: {confirmed:?}");
            }
            if token.starts_with("tok_3ds") {
                self.act_at_the_bank(&path, "approve").await;
            }
        } else {
            wait::until("a release", SETTLED_WITHIN, || async {
                let answer = self.client.call(Method::DELETE, &path, None).await;
                let answer = answer.map_err(|error| format!("{error:#}"))?;
                if answer.status == StatusCode::ACCEPTED { Ok(()) } else { Err(format!("{answer:?}")) }
            })
            .await;
        }
        let hold = wait::until("the end of a hold", SETTLED_WITHIN, || async {
            let hold = self.client.get(&path).await.map_err(|error| format!("{error:#}"))?.body;
            let is_over = ["ticketed", "released", "expired"].iter().any(|over| hold["status"] == **over);
            if is_over { Ok(hold) } else { Err(hold.to_string()) }
        })
        .await;
        let code = hold["reason"]["code"].as_str().unwrap_or(RELEASED);
        match (expected, hold["status"].as_str().unwrap()) {
            (Expected::Confirmed, "ticketed") => "confirmed".to_owned(),
            (Expected::Rejected(wanted), "released") if wanted == code => "rejected".to_owned(),
            _ => panic!("hold {number} should be {expected:?}: {hold}"),
        }
    }

    /// Goes to the page that a resource names and presses a button, again and again until the page has heard it.
    async fn act_at_the_bank(&self, resource: &str, button: &str) {
        let page = wait::until("an act of the client", SETTLED_WITHIN, || async {
            let answer = self.client.get(resource).await.map_err(|error| format!("{error:#}"))?;
            let url = answer.body["next_action"]["url"].as_str();
            url.and_then(|url| Some(format!("/sandbox{}", url.split_once("/sandbox")?.1)))
                .ok_or(answer.body.to_string())
        })
        .await;
        wait::until("the bank's answer", SETTLED_WITHIN, || async {
            let status = self.client.status_of(Method::POST, &format!("{page}/{button}")).await;
            let status = status.map_err(|error| format!("{error:#}"))?;
            if status == StatusCode::OK { Ok(()) } else { Err(format!("{page}: {status}")) }
        })
        .await;
    }

    /// Acts on a saga as an operator, which these codes say may be too late.
    async fn act(&self, saga: &str, action: &str, late: &[&str]) {
        let acting = json!({ "action": action, "reason": "the client called", "request_id": kit::ids::request_id() });
        let path = format!("/ops/api/sagas/{saga}/actions");
        let answer = self.surely(&self.operator, &path, saga, &acting).await;
        let heard = answer.status == StatusCode::OK || late.iter().any(|code| answer.body["code"] == **code);
        assert!(heard, "{action} on {saga}: {answer:?}");
    }

    /// Begins a pause.
    async fn hold_back(&self, scope: &str, number: usize) {
        let pause = json!({ "scope": scope, "reason": "the provider is moved" });
        let begun = self.surely(&self.operator, "/ops/api/pauses", &format!("pause-{number}"), &pause).await;
        assert!(begun.status.is_success(), "{scope}: {begun:?}");
    }

    /// Ends all pauses, until none is in force.
    async fn let_go_on(&self) {
        wait::until("no pauses", SETTLED_WITHIN, || async {
            let listed = self.operator.get("/ops/api/pauses").await.map_err(|error| format!("{error:#}"))?;
            let pauses = listed.body["items"].as_array().ok_or_else(|| format!("{listed:?}"))?;
            for pause in pauses {
                let path = format!("/ops/api/pauses/{}/end", pause["scope"].as_str().unwrap_or_default());
                let ended = self.operator.call(Method::POST, &path, Some(json!({ "reason": "it is moved" }))).await;
                ended.map_err(|error| format!("{error:#}"))?;
            }
            if pauses.is_empty() { Ok(()) } else { Err(listed.body.to_string()) }
        })
        .await;
    }

    /// Pays the balance of a confirmed order and waits until it is paid.
    async fn pay_balance(&self, order_id: &str, token: &str) {
        let path = format!("/v1/orders/{order_id}");
        let paying = self.surely(&self.client, &format!("{path}/payments"), order_id, &json!({ "token": token })).await;
        assert_eq!(paying.status, StatusCode::ACCEPTED, "{paying:?}");
        if token.starts_with("tok_3ds") {
            let payment = paying.body["payment_id"].as_str().unwrap();
            self.act_at_the_bank(&format!("/v1/payments/{payment}"), "approve").await;
        }
        wait::until("a paid order", SETTLED_WITHIN, || async {
            let order = self.client.get(&path).await.map_err(|error| format!("{error:#}"))?.body;
            if order["paid"] == order["total"] && order["total"].is_object() { Ok(()) } else { Err(order.to_string()) }
        })
        .await;
    }

    /// Posts, and repeats the request with the same key for as long as it cannot be taken or its fate is not known.
    async fn surely(&self, person: &Client, path: &str, key: &str, body: &Value) -> Response {
        wait::until(path, SETTLED_WITHIN, || async {
            let answer = person.call_with(Method::POST, path, Some(body.clone()), &[("idempotency-key", key)]).await;
            let answer = answer.map_err(|error| format!("{error:#}"))?;
            let under_way = answer.body["code"] == "idempotency_key_in_use";
            if answer.status.is_server_error() || under_way { Err(format!("{answer:?}")) } else { Ok(answer) }
        })
        .await
    }
}

fn in_days(days: u64) -> NaiveDate {
    kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(days)).unwrap()
}
