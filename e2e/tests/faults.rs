//! Three hundred orders while every process and both servers are killed, one after another.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{Days, NaiveDate};
use e2e::{Client, Part, System, domains, order_of, wait};
use futures::{StreamExt, stream};
use kit::clock::Clock;
use reqwest::StatusCode;
use serde_json::Value;
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

/// An order, and what must come of it.
struct Wish {
    order: Value,
    expected: Expected,
}

#[derive(Debug, PartialEq)]
enum Expected {
    Confirmed,
    Declined,
    /// First come, first served.
    SmallFlight,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_ends_and_all_books_agree_whatever_is_killed() {
    let mut system = System::start().await.unwrap();
    let client = system.client("ada").await.unwrap();
    let wishes = wishes(&client).await;
    let (progress, ended) = watch::channel(0usize);
    let (kills, killed) = watch::channel(0usize);
    let confirmed_small = Arc::new(AtomicUsize::new(0));

    let orders = tokio::spawn({
        let (client, confirmed_small) = (client.clone(), Arc::clone(&confirmed_small));
        async move {
            stream::iter(wishes.into_iter().enumerate())
                .for_each_concurrent(IN_FLIGHT, |(number, wish)| {
                    let (client, confirmed_small, progress) = (&client, &confirmed_small, &progress);
                    let mut killed = killed.clone();
                    async move {
                        // The other end goes after the last kill.
                        killed.wait_for(|kills| number < (kills + 1) * orders_per_kill()).await.ok();
                        place_and_follow(client, number, wish, confirmed_small).await;
                        progress.send_modify(|ended| *ended += 1);
                    }
                })
                .await;
        }
    });
    let killed = kill_one_after_another(&mut system, ended, kills).await;
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
        system.kill(victim);
        kills.send_replace(number + 1);
        system.restart(victim).await.unwrap();
    }
    victims.len()
}

async fn wishes(client: &Client) -> Vec<Wish> {
    let mut flights = Vec::new();
    let mut stays = Vec::new();
    for day in 0..DAYS {
        flights.push(client.flight("LHR", "MLE", in_days(20 + day), "business", 1).await.unwrap());
        stays.push(client.stay("Maldives", in_days(21 + day), in_days(23 + day), 1).await.unwrap());
    }
    let small = client.flight("MLE", "DRV", in_days(20), "economy", 1).await.unwrap();
    (0..ORDERS)
        .map(|number| {
            let day = number % flights.len();
            let (flight, stay): (&Value, &Value) = (&flights[day], &stays[day]);
            // Three has no divisor in common with twenty: of every kind one in three has a stay beside its flight.
            let trip = |flight| if number.is_multiple_of(3) { vec![flight, stay] } else { vec![flight] };
            let (small, trip) = (&trip(&small), &trip(flight));
            match number % 20 {
                3 | 13 => Wish { order: order_of(trip, "tok_declined"), expected: Expected::Declined },
                7 | 17 => Wish { order: order_of(small, "tok_ok"), expected: Expected::SmallFlight },
                1 => Wish { order: order_of(trip, "tok_timeout_after_commit"), expected: Expected::Confirmed },
                _ => Wish { order: order_of(trip, "tok_ok"), expected: Expected::Confirmed },
            }
        })
        .collect()
}

async fn place_and_follow(client: &Client, number: usize, wish: Wish, confirmed_small: &AtomicUsize) {
    let accepted = client.order_surely(&format!("order-{number}"), &wish.order, SETTLED_WITHIN).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "order {number}: {accepted:?}");
    let order_id = accepted.body["order_id"].as_str().unwrap();
    let settled = client.until_settled(order_id, SETTLED_WITHIN).await;
    let (status, code) = (settled["status"].as_str().unwrap(), settled["reason"]["code"].as_str());
    match (&wish.expected, status, code) {
        (Expected::Confirmed, "confirmed", None) | (Expected::Declined, "rejected", Some("card_declined")) => {}
        (Expected::SmallFlight, "confirmed", None) => {
            confirmed_small.fetch_add(1, Ordering::Relaxed);
        }
        (Expected::SmallFlight, "rejected", Some("flight_sold_out")) => {}
        _ => panic!("order {number} should be {:?}: {settled}", wish.expected),
    }
}

fn in_days(days: u64) -> NaiveDate {
    kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(days)).unwrap()
}
