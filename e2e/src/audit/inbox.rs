//! The effects that the journal counted against what the participants remember and did: the invariants of the barrier (S4 to S11)
//! and of replies (S13), over all databases.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use contract::SagaId;
use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::none;
use crate::system::{System, domains};

/// A step of a saga in one direction: `a`, the action, `c`, the compensation, or `E`, the extensions of what it holds.
type Key = (Uuid, String, String);

/// The participants' memory: one command for a step's action and compensation, and one for each extension.
type Inboxes = BTreeMap<Key, Vec<Remembered>>;

/// A participant's memory of one command.
#[derive(Debug, FromRow)]
struct Remembered {
    saga_id: Uuid,
    step: String,
    op: String,
    /// `d` done, `r` refused, `t` tombstone, `p` prepared.
    state: String,
    outcome: Option<String>,
}

/// The effects of a step that took effect are as many as the inbox says that it did (S4, S5, S7, S8, S10).
const EFFECTS: [(&str, &str, &str); 7] = [
    (
        "order",
        "orders",
        "SELECT abs(count(*) - (SELECT count(*) FROM orders)) FROM runtime.inbox
         WHERE step = 'create-order' AND op = 'a' AND state = 'd'",
    ),
    (
        "order",
        "confirmed orders",
        "SELECT abs(count(*) - (SELECT count(*) FROM orders WHERE status = 'confirmed')) FROM runtime.inbox
         WHERE step = 'confirm-order' AND state = 'd'",
    ),
    (
        "flights",
        "holds of seats",
        "SELECT abs(count(*) - (SELECT count(*) FROM seat_hold)) FROM runtime.inbox
         WHERE step = 'hold-seats' AND op = 'a' AND state = 'd'",
    ),
    (
        "flights",
        "bookings of seats",
        "SELECT abs(count(*) - (SELECT count(*) FROM flight_booking)) FROM runtime.inbox
         WHERE step = 'confirm-seats' AND state = 'd'",
    ),
    (
        "accommodation",
        "holds of rooms",
        "SELECT abs(count(*) - (SELECT count(*) FROM room_hold)) FROM runtime.inbox
         WHERE step IN ('hold-rooms', 'hold-room') AND op = 'a' AND state = 'd'",
    ),
    (
        "accommodation",
        "bookings of rooms",
        "SELECT abs(count(*) - (SELECT count(*) FROM stay_booking)) FROM runtime.inbox
         WHERE step IN ('confirm-rooms', 'book-rooms', 'confirm-room') AND state = 'd'",
    ),
    (
        "payment",
        "captures",
        "SELECT abs(count(*) - (SELECT count(*) FROM ledger_movement WHERE kind = 'capture')) FROM runtime.inbox
         WHERE step = 'capture-payment' AND state = 'd'",
    ),
];

impl System {
    /// Compares the journal's outcomes, the participants' inboxes and the effects.
    pub(super) async fn audit_inboxes(&self) -> Result<()> {
        let mut inboxes = Inboxes::new();
        for domain in domains() {
            let mut database = self.database(&format!("sojourn_{domain}")).await?;
            let repeated = format!("S11: commands of {domain} that were asked for anew, though nobody retried them");
            none(&mut database, &repeated, "SELECT count(*) FROM runtime.inbox WHERE generation <> 1 AND op <> 'E'")
                .await?;
            let untold = format!("S4: events of {domain} that were never told");
            none(&mut database, &untold, "SELECT count(*) FROM runtime.outbox").await?;
            for (_, what, difference) in EFFECTS.into_iter().filter(|(of, ..)| *of == domain) {
                let what = format!("S5, S7, S8, S10: {what} differ from the commands that took effect");
                none(&mut database, &what, difference).await?;
            }
            let rows: Vec<Remembered> =
                sqlx::query_as("SELECT saga_id, step, op::text, state::text, outcome FROM runtime.inbox")
                    .fetch_all(&mut database)
                    .await?;
            for row in rows {
                inboxes.entry((row.saga_id, row.step.clone(), row.op.clone())).or_default().push(row);
            }
        }
        let mut journal = self.database("sojourn_orchestrator").await?;
        let entries: Vec<(Uuid, Value)> = sqlx::query_as(
            "SELECT saga_id, entry FROM saga_journal, json_array_elements(CASE json_typeof(entries) WHEN 'object' THEN entries->'entries' ELSE entries END) entry
             WHERE entry->>'entry' IN ('command_done', 'command_refused', 'child_awaited')",
        )
        .fetch_all(&mut journal)
        .await?;
        let sagas: Vec<(Uuid, String)> = sqlx::query_as("SELECT id, status FROM saga").fetch_all(&mut journal).await?;
        let sagas: BTreeMap<Uuid, String> = sagas.into_iter().collect();
        let (begun, outcomes): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|(_, entry)| entry["entry"] == "child_awaited");
        let child =
            |(saga, entry): (Uuid, Value)| Some(((saga, step_of(&entry)), entry["child"].as_str()?.parse().ok()?));
        let children: BTreeMap<(Uuid, String), SagaId> = begun.into_iter().filter_map(child).collect();
        for (saga, entry) in &outcomes {
            match children.get(&(*saga, step_of(entry))) {
                Some(child) => ended_as_its_child(&sagas, *child, entry)?,
                None => counted_as_remembered(&inboxes, *saga, entry)?,
            }
        }
        for row in inboxes.values().flatten() {
            undone_with_its_saga(&inboxes, &sagas, row)?;
        }
        Ok(())
    }
}

fn step_of(entry: &Value) -> String {
    entry["step"].as_str().unwrap_or_default().to_owned()
}

/// The outcome of a step that started a child is the child's end (S48).
fn ended_as_its_child(sagas: &BTreeMap<Uuid, String>, child: SagaId, entry: &Value) -> Result<()> {
    let expected = if entry["entry"] == "command_done" { "completed" } else { "compensated" };
    let status = sagas.get(&child.uuid()).with_context(|| format!("S48: {child} was never begun: {entry}"))?;
    ensure!(status == expected, "S48: {child} is {status}, and its parent counted {entry}");
    Ok(())
}

/// The journal counted what the participant stored, and nothing else (S5, S10, S13).
fn counted_as_remembered(inboxes: &Inboxes, saga: Uuid, entry: &Value) -> Result<()> {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    let op = match text("op") {
        "compensation" => "c",
        "extension" => "E",
        _ => "a",
    };
    let rows = inboxes.get(&(saga, text("step").to_owned(), op.to_owned()));
    let rows = rows.with_context(|| format!("S13: {saga} counted an outcome that nobody remembers: {entry}"))?;
    let same = |row: &Remembered| {
        let stored: Value =
            row.outcome.as_deref().and_then(|stored| serde_json::from_str(stored).ok()).unwrap_or_default();
        if text("entry") == "command_done" {
            stored["outcome"] == "done" && stored["reply"] == entry["reply"]
        } else {
            stored["outcome"] == "refused" && stored["code"] == entry["code"] && stored["message"] == entry["message"]
        }
    };
    ensure!(rows.iter().any(same), "S5, S10, S13: {saga} counted {entry}, the participant answered {rows:?}");
    Ok(())
}

/// Every effect in a compensated saga was undone, whether the saga heard of it or not; what was not to happen did
/// not; and nothing of a completed saga was undone (S3, S6 to S9, S17).
fn undone_with_its_saga(inboxes: &Inboxes, sagas: &BTreeMap<Uuid, String>, row: &Remembered) -> Result<()> {
    let status = sagas.get(&row.saga_id).with_context(|| format!("S13: {row:?} is of no saga"))?;
    ensure!(row.state != "p", "S4: an outside call that was begun and never recorded: {row:?}");
    let compensated = status == "compensated";
    ensure!(row.op != "c" || compensated, "S17: {row:?} undid a step of a saga that is {status}");
    if row.op != "c" && compensated && row.state != "r" {
        let undone = inboxes.get(&(row.saga_id, row.step.clone(), "c".to_owned()));
        let undone = undone.is_some_and(|undone| undone.iter().all(|undone| undone.state == "d"));
        ensure!(undone, "S3, S6, S9: nothing undid {row:?}");
    }
    ensure!(row.state != "t" || compensated, "S8: {row:?} was kept from happening in a saga that is {status}");
    Ok(())
}
