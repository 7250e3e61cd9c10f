//! The books of all databases side by side, after the dust has settled: what the invariants say must agree.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::system::System;

/// How many orders ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Firm and paid.
    pub confirmed: usize,
    /// Undone.
    pub rejected: usize,
}

impl System {
    /// Compares orders, inventory, money, notices and sagas by SQL.
    ///
    /// # Errors
    /// Names the first invariant that does not hold.
    pub async fn audit(&self) -> Result<Tally> {
        let orders: Vec<(Uuid, String, String)> =
            sqlx::query_as("SELECT order_id, status, total_amount::text || ' ' || total_currency FROM orders")
                .fetch_all(&mut self.database("sojourn_order").await?)
                .await?;
        let of = |status: &str| orders.iter().filter(|order| order.1 == status).count();
        let tally = Tally { confirmed: of("confirmed"), rejected: of("rejected") };
        ensure!(tally.confirmed + tally.rejected == orders.len(), "S1: {} orders are still pending", of("pending"));
        let confirmed: BTreeMap<Uuid, &str> = orders
            .iter()
            .filter(|(_, status, _)| status == "confirmed")
            .map(|(id, _, total)| (*id, total.as_str()))
            .collect();
        self.audit_sagas(tally).await?;
        let mut flights = self.database("sojourn_flights").await?;
        audit_inventory(&mut flights, "flight_hold", &confirmed).await?;
        let mut rooms = self.database("sojourn_accommodation").await?;
        audit_inventory(&mut rooms, "room_hold", &confirmed).await?;
        self.audit_money(&confirmed).await?;
        let told: Vec<Uuid> = sqlx::query_scalar("SELECT order_id FROM notice ORDER BY order_id")
            .fetch_all(&mut self.database("sojourn_feed").await?)
            .await?;
        ensure!(told == confirmed.keys().copied().collect::<Vec<_>>(), "S26: notices and confirmed orders differ");
        Ok(tally)
    }

    async fn audit_sagas(&self, tally: Tally) -> Result<()> {
        let mut journal = self.database("sojourn_orchestrator").await?;
        let statuses: Vec<(String, i64)> =
            sqlx::query_as("SELECT status, count(*) FROM saga WHERE name = 'order' GROUP BY status ORDER BY status")
                .fetch_all(&mut journal)
                .await?;
        let expected = [("compensated", tally.rejected), ("completed", tally.confirmed)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(status, count)| (status.to_owned(), count as i64));
        ensure!(statuses == expected.collect::<Vec<_>>(), "S1: sagas ended as {statuses:?}, orders as {tally:?}");
        none(
            &mut journal,
            "S15: journals with gaps",
            "SELECT count(*) FROM (SELECT saga_id FROM saga_journal GROUP BY saga_id
                                   HAVING count(*) <> max(seq) OR min(seq) <> 1) gaps",
        )
        .await?;
        none(
            &mut journal,
            "S14: outcomes that were counted twice",
            "SELECT count(*) FROM (
                 SELECT saga_id FROM saga_journal, json_array_elements(entries::json) entry
                 WHERE entry->>'entry' IN ('command_done', 'command_refused')
                 GROUP BY saga_id, entry->>'step', entry->>'op' HAVING count(*) > 1) twice",
        )
        .await?;
        none(&mut journal, "S27: dead letters", "SELECT count(*) FROM dead_letter").await
    }

    async fn audit_money(&self, confirmed: &BTreeMap<Uuid, &str>) -> Result<()> {
        let mut payment = self.database("sojourn_payment").await?;
        let captured: Vec<(Uuid, String)> = sqlx::query_as(
            "SELECT order_id, captured_amount::text || ' ' || currency FROM payment WHERE status = 'captured'
             ORDER BY order_id",
        )
        .fetch_all(&mut payment)
        .await?;
        let captured: Vec<(Uuid, &str)> = captured.iter().map(|(order, total)| (*order, total.as_str())).collect();
        let expected: Vec<(Uuid, &str)> = confirmed.iter().map(|(order, total)| (*order, *total)).collect();
        ensure!(captured == expected, "S23, S25: what was captured is not what the confirmed orders cost");
        none(&mut payment, "S23: open authorisations", "SELECT count(*) FROM payment WHERE status = 'authorised'")
            .await?;
        none(
            &mut payment,
            "S23: movements that do not sum to zero",
            "SELECT count(*) FROM (SELECT movement_id FROM ledger_line GROUP BY movement_id, currency
                                   HAVING sum(amount) <> 0) unbalanced",
        )
        .await?;
        none(
            &mut payment,
            "S23: reserved money in the ledger",
            "SELECT count(*) FROM (SELECT currency FROM ledger_line WHERE account = 'authorisations_open'
                                   GROUP BY currency HAVING sum(amount) <> 0) reserved",
        )
        .await?;
        none(
            &mut payment,
            "S23: charges at the provider that the payments do not know, or know otherwise",
            "SELECT count(*) FROM sandbox.charge c FULL JOIN payment p ON p.provider_reference = c.reference
             WHERE (p.status IS DISTINCT FROM c.status OR p.captured_amount IS DISTINCT FROM c.captured_amount)
               AND NOT (p.status IS NULL AND c.status = 'voided')",
        )
        .await
    }
}

/// Held by nobody, sold exactly to the confirmed orders, and every unit accounted for (S21).
async fn audit_inventory(
    database: &mut PgConnection,
    holds: &'static str,
    confirmed: &BTreeMap<Uuid, &str>,
) -> Result<()> {
    none(
        database,
        "S21: inventory that is not conserved",
        "SELECT count(*) FROM inventory_conservation WHERE NOT conserved OR held <> 0",
    )
    .await?;
    let query = match holds {
        "flight_hold" => "SELECT order_id, status FROM flight_hold WHERE status NOT IN ('released', 'expired')",
        _ => "SELECT order_id, status FROM room_hold WHERE status NOT IN ('released', 'expired')",
    };
    let live: Vec<(Uuid, String)> = sqlx::query_as(query).fetch_all(database).await?;
    for (order, status) in live {
        ensure!(status == "confirmed" && confirmed.contains_key(&order), "S21: {holds} of {order} is {status}");
    }
    Ok(())
}

async fn none(database: &mut PgConnection, what: &str, count: &'static str) -> Result<()> {
    let found: i64 = sqlx::query_scalar(count).fetch_one(database).await?;
    ensure!(found == 0, "{what}: {found}");
    Ok(())
}
