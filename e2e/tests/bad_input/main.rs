//! Everything wrong gets a clear answer that names it: wrong requests, wrong starts, messages that cannot be read,
//! broken rows, missing servers, wrong settings. Nothing of it makes a program panic, loses a message or stops others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod messages;
mod outages;
mod people;
mod programs;
mod requests;
mod rows;
mod starts;

use std::time::Duration;

use chrono::{Days, NaiveDate};
use e2e::{Client, Findings, System, order_of};
use kit::clock::Clock;
use serde_json::Value;

/// How long one order may take on a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_messages_and_rows_are_named_and_hurt_nobody_else() {
    let mut system = System::start().await.unwrap();
    let mut findings = Findings::default();
    let client = system.client("ada").await.unwrap();
    let operator = system.operator().await.unwrap();

    people::registrations_and_logins(&system, &mut findings).await;
    requests::strangers_and_addresses(&system, &client, &mut findings).await;
    requests::searches(&client, &mut findings).await;
    requests::orders(&client, &mut findings).await;
    requests::repeated_orders(&system, &client, &mut findings).await;
    requests::operators(&system, &client, &operator, &mut findings).await;
    starts::of_sagas(&system, &client, &mut findings).await;
    starts::that_only_the_domains_can_refuse(&system, &client, &mut findings).await;
    messages::in_every_queue(&mut system, &client, &operator, &mut findings).await;
    rows::broken_by_hand(&mut system, &client, &operator, &mut findings).await;
    outages::of_the_broker(&mut system, &client, &operator, &mut findings).await;
    outages::of_the_databases(&mut system, &client, &operator, &mut findings).await;

    // After all of it, an ordinary order is as good as ever.
    let flight = client.flight("LHR", "MLE", in_days(30), "business", 1).await.unwrap();
    let (order_id, _) = client.place("after all", &order_of(&[&flight], "tok_ok")).await.unwrap();
    let settled = client.until_settled(&order_id, SETTLED_WITHIN).await;
    findings.that("an ordinary order after all", settled["status"] == "confirmed", &settled);
    findings.that("panics", system.panics().is_empty(), system.panics());
    findings.end(|| system.logs());
    system.until_queues_are_empty(Duration::from_secs(30)).await;
}

/// So many days from today.
fn in_days(days: u64) -> NaiveDate {
    kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(days)).unwrap()
}

/// A flight that can be ordered.
async fn flight(client: &Client, day: u64) -> Value {
    client.flight("LHR", "MLE", in_days(day), "business", 1).await.unwrap()
}

/// The same document with another value at one place.
fn with(document: &Value, pointer: &str, value: impl Into<Value>) -> Value {
    let mut other = document.clone();
    *other.pointer_mut(pointer).unwrap_or_else(|| panic!("no place {pointer}")) = value.into();
    other
}

/// The same document without one member of an object.
fn without(document: &Value, parent: &str, name: &str) -> Value {
    let mut other = document.clone();
    let parent = other.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
    assert!(parent.remove(name).is_some(), "no member {name}");
    other
}
