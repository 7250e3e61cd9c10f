//! Sagas that a person helps on: a command that is changed because it fails for what it says, and a compensation that was
//! done outside the program.

use e2e::order_of;
use serde_json::{Value, json};
use sqlx::Executor as _;

use crate::{SETTLED_WITHIN, bench::Bench, in_days, step, until, until_status};

/// Makes the hotels' database fail on a name, and on every release.
const FAILING: &str = "
    ALTER TABLE stay_booking ADD CONSTRAINT no_poison CHECK (guest_name NOT LIKE '%Poison%') NOT VALID;
    ALTER TABLE room_hold ADD CONSTRAINT no_release CHECK (status <> 'released') NOT VALID";
const REPAIRED: &str = "
    ALTER TABLE stay_booking DROP CONSTRAINT no_poison;
    ALTER TABLE room_hold DROP CONSTRAINT no_release";

pub(crate) async fn sagas_helped_on_by_hand(bench: &mut Bench) {
    let mut database = bench.system.database("sojourn_accommodation").await.unwrap();
    database.execute(FAILING).await.unwrap();
    a_command_that_fails_for_what_it_says(bench).await;
    a_compensation_that_a_person_did(bench).await;
    database.execute(REPAIRED).await.unwrap();
}

/// Pauses a saga whose step fails again and again, so that it stands still for those who look at it.
async fn stands_still(bench: &mut Bench, id: &str, name: &str, status: &str) -> Value {
    let fails = |shown: &Value| step(shown, name)["error"].is_object();
    until(&bench.operator, id, "it fails", fails).await;
    bench.ends(&["pause", id, "--reason", "to look at it"], 0, &[id]).await;
    let still = |shown: &Value| shown["pause"]["quiescent"] == true && step(shown, name)["status"] == status;
    until(&bench.operator, id, "it stands still", still).await
}

async fn a_command_that_fails_for_what_it_says(bench: &mut Bench) {
    let flight = bench.client.flight("LHR", "MLE", in_days(43), "business", 1).await.unwrap();
    let stay = bench.client.stay("Maldives", in_days(44), in_days(46), 1).await.unwrap();
    let mut order = order_of(&[&flight, &stay], "tok_ok");
    order["travellers"][0]["family_name"] = json!("Poison");
    let (order_id, saga) = bench.client.place("poison", &order).await.unwrap();
    let id = saga.as_str();
    let shown = stands_still(bench, id, "confirm-rooms", "retrying").await;
    let head = shown["head"].to_string();

    let patch = r#"{"guest_name": "Ada Example"}"#;
    let edit = ["edit", id, "--step", "confirm-rooms", "--patch", patch, "--reason", "as in the passport"];
    let difference = ["/guest_name", "Ada Poison", "Ada Example"];
    let told = format!("--if-head {head}");
    bench.ends(&[&edit[..], &["--dry-run"]].concat(), 0, &[&difference[..], &[&told]].concat()).await;
    bench.ends(&edit, 2, &["--if-head"]).await;
    bench.ends(&[&edit[..], &["--if-head", "1"]].concat(), 6, &["head_moved"]).await;
    let wrong =
        ["edit", id, "--step", "confirm-rooms", "--patch", r#"{"guest": "Ada"}"#, "--reason", "as in the passport"];
    bench.ends(&[&wrong[..], &["--if-head", &head]].concat(), 1, &["command_mismatch", "/guest"]).await;
    bench.ends(&[&edit[..], &["--if-head", &head]].concat(), 0, &difference).await;
    bench.ends(&["resume", id, "--reason", "the name is right"], 0, &[id]).await;

    let shown = until_status(&bench.operator, id, "completed").await;
    let edited = &step(&shown, "confirm-rooms")["edited"];
    let change = json!([{ "pointer": "/guest_name", "before": "(masked)", "after": "(masked)" }]);
    bench.findings.that("the step shows its edit", *edited == change, &shown);
    bench.ends(&["journal", id], 0, &["command_edited"]).await;
    let order = bench.client.until_settled(&order_id, SETTLED_WITHIN).await;
    bench.findings.that("the order is confirmed", order["status"] == "confirmed", &order);
    let guest: String = sqlx::query_scalar("SELECT guest_name FROM stay_booking WHERE order_id = $1")
        .bind(uuid::Uuid::try_parse(&order_id[4..]).unwrap())
        .fetch_one(&mut bench.system.database("sojourn_accommodation").await.unwrap())
        .await
        .unwrap();
    bench.findings.that("the hotel expects whom the edit names", guest == "Ada Example", guest);
}

async fn a_compensation_that_a_person_did(bench: &mut Bench) {
    let stay = bench.client.stay("Maldives", in_days(44), in_days(46), 1).await.unwrap();
    let (order_id, saga) = bench.client.place("released-by-phone", &order_of(&[&stay], "tok_declined")).await.unwrap();
    let id = saga.as_str();
    stands_still(bench, id, "hold-rooms", "compensating").await;

    let resolve =
        |evidence| ["resolve", id, "--step", "hold-rooms", "--evidence", evidence, "--reason", "their system is down"];
    bench.ends(&resolve("done"), 2, &["10 to 1000 bytes"]).await;
    let elsewhere =
        ["resolve", id, "--step", "create-order", "--evidence", "rejected by phone", "--reason", "let us see"];
    bench.ends(&elsewhere, 6, &["resolve_impossible"]).await;
    bench.ends(&resolve("released by phone, hotel ref. 8812"), 0, &[id]).await;
    bench.ends(&["resume", id, "--reason", "it is released"], 0, &[id]).await;

    let shown = until_status(&bench.operator, id, "compensated").await;
    let undone = step(&shown, "hold-rooms");
    let told = undone["status"] == "compensated" && undone["resolved"] == "released by phone, hotel ref. 8812";
    bench.findings.that("the step shows the evidence", told && undone["skipped"].is_null(), undone);
    bench.ends(&["show", id], 0, &["by hand (released by phone, hotel ref. 8812)"]).await;
    let order = bench.client.until_settled(&order_id, SETTLED_WITHIN).await;
    bench.findings.that("the order is rejected", order["status"] == "rejected", &order);
}
