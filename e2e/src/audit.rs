//! The books of all databases side by side, after the dust has settled: what the invariants say must agree. For systems
//! in which no operator has acted.

mod inbox;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use contract::OrderId;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::system::System;

/// How many orders ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Firm and paid.
    pub confirmed: usize,
    pub rejected: usize,
}

/// An order in the order domain's books.
#[derive(Debug, FromRow)]
struct Order {
    order_id: Uuid,
    status: String,
    /// The amount that is taken by now, and its currency: a deposit, or all of it.
    paid: String,
    has_flights: bool,
    has_stays: bool,
}

const ORDERS: &str = "
    SELECT order_id, status,
           CASE WHEN payment_plan IS NULL THEN total_amount ELSE paid_amount END::text || ' ' || total_currency AS paid,
           EXISTS (SELECT FROM order_item i WHERE i.order_id = o.order_id AND starts_with(i.offer_id, 'fof_')) AS has_flights,
           EXISTS (SELECT FROM order_item i WHERE i.order_id = o.order_id AND starts_with(i.offer_id, 'sof_')) AS has_stays
    FROM orders o";

/// The saga that each order came about by. One that was held first is named by its hold, and has the order in its input.
const SAGAS_OF_ORDERS: &str = "
    SELECT business_key, status FROM saga WHERE name IN ('order', 'booking')
    UNION ALL
    SELECT (CASE json_typeof(entries) WHEN 'object' THEN entries->'entries' ELSE entries END)->0->'input'->>'order_id', status
    FROM saga JOIN saga_journal ON saga_id = id WHERE name = 'flight_hold' AND seq = 1";

impl System {
    /// Compares orders, inventory, money, notices, inboxes and sagas by SQL.
    ///
    /// # Errors
    /// Names the first invariant that does not hold.
    pub async fn audit(&self) -> Result<Tally> {
        let orders: Vec<Order> = sqlx::query_as(ORDERS).fetch_all(&mut self.database("sojourn_order").await?).await?;
        let of = |status: &str| orders.iter().filter(|order| order.status == status).count();
        let mut tally = Tally { confirmed: of("confirmed"), rejected: of("rejected") };
        ensure!(tally.confirmed + tally.rejected == orders.len(), "S1: {} orders are still pending", of("pending"));
        let is_confirmed = |order: &&Order| order.status == "confirmed";
        let confirmed: BTreeMap<Uuid, &str> =
            orders.iter().filter(is_confirmed).map(|order| (order.order_id, order.paid.as_str())).collect();
        let with = |has: fn(&Order) -> bool| -> BTreeSet<Uuid> {
            orders.iter().filter(is_confirmed).filter(|order| has(order)).map(|order| order.order_id).collect()
        };
        let mut books = self.database("sojourn_order").await?;
        none(
            &mut books,
            "S25: confirmed orders that are not paid as their plan says",
            "SELECT count(*) FROM orders WHERE status = 'confirmed' AND paid_amount < total_amount AND NOT
                 (payment_plan IS NULL OR payment_plan = 'deposit' AND paid_amount > 0 AND balance_due_on IS NOT NULL)",
        )
        .await?;
        none(
            &mut books,
            "S25: payments of orders that were begun and never ended",
            "SELECT count(*) FROM order_payment WHERE recorded_at IS NULL",
        )
        .await?;
        tally.rejected += self.audit_sagas(&orders).await?;
        self.audit_inboxes().await?;
        let mut flights = self.database("sojourn_flights").await?;
        audit_inventory(&mut flights, FLIGHT_HOLDS, &with(|order| order.has_flights)).await?;
        let mut rooms = self.database("sojourn_accommodation").await?;
        audit_inventory(&mut rooms, ROOM_HOLDS, &with(|order| order.has_stays)).await?;
        none(
            &mut rooms,
            "S21: confirmed stays without their villa, or villas without a stay",
            "SELECT count(*) FROM unit_conservation WHERE NOT conserved",
        )
        .await?;
        self.audit_money(&confirmed).await?;
        let told: Vec<Uuid> =
            sqlx::query_scalar("SELECT order_id FROM notice WHERE kind = 'order_confirmed' ORDER BY order_id")
                .fetch_all(&mut self.database("sojourn_feed").await?)
                .await?;
        ensure!(told == confirmed.keys().copied().collect::<Vec<_>>(), "S26: notices and confirmed orders differ");
        Ok(tally)
    }

    /// Each order has one saga, which ended as the order did. Answers how many sagas were undone before their order was
    /// created: to the client those are rejected too.
    async fn audit_sagas(&self, orders: &[Order]) -> Result<usize> {
        let mut journal = self.database("sojourn_orchestrator").await?;
        let mut sagas: Vec<(String, String)> = sqlx::query_as(SAGAS_OF_ORDERS).fetch_all(&mut journal).await?;
        let end = |order: &Order| if order.status == "confirmed" { "completed" } else { "compensated" };
        let mut expected: Vec<(String, String)> = orders
            .iter()
            .map(|order| (OrderId::from_uuid(order.order_id).to_string(), end(order).to_owned()))
            .collect();
        let created: BTreeSet<String> = expected.iter().map(|(order, _)| order.clone()).collect();
        let before = sagas.len();
        sagas.retain(|(order, status)| created.contains(order) || status != "compensated");
        let never_created = before - sagas.len();
        sagas.sort_unstable();
        expected.sort_unstable();
        let differs = sagas.iter().zip(&expected).find(|(saga, order)| saga != order);
        ensure!(
            sagas.len() == expected.len() && differs.is_none(),
            "S1: {} sagas for {} orders; the first difference: {differs:?}",
            sagas.len(),
            expected.len()
        );
        none(
            &mut journal,
            "S1: sagas that have not ended",
            "SELECT count(*) FROM saga WHERE status NOT IN ('completed', 'compensated')",
        )
        .await?;
        none(
            &mut journal,
            "S15: journals with gaps",
            "SELECT count(*) FROM (SELECT saga_id FROM saga_journal GROUP BY saga_id
                                   HAVING count(*) <> max(seq) OR min(seq) <> 1) gaps",
        )
        .await?;
        none(
            &mut journal,
            "S15: decisions that were taken twice",
            "SELECT count(*) FROM (
                 SELECT saga_id FROM saga_journal, json_array_elements(CASE json_typeof(entries) WHEN 'object' THEN entries->'entries' ELSE entries END) entry
                 WHERE entry->>'entry' = 'command_dispatched'
                 GROUP BY saga_id, entry->>'step', entry->>'op', entry->>'generation', entry->>'attempt'
                 HAVING count(*) > 1) twice",
        )
        .await?;
        none(
            &mut journal,
            "S14: outcomes that were counted twice",
            "SELECT count(*) FROM (
                 SELECT saga_id FROM saga_journal, json_array_elements(CASE json_typeof(entries) WHEN 'object' THEN entries->'entries' ELSE entries END) entry
                 WHERE entry->>'entry' IN ('command_done', 'command_refused') AND entry->>'op' <> 'extension'
                 GROUP BY saga_id, entry->>'step', entry->>'op' HAVING count(*) > 1) twice",
        )
        .await?;
        none(&mut journal, "S27: dead letters", "SELECT count(*) FROM dead_letter").await?;
        Ok(never_created)
    }

    async fn audit_money(&self, confirmed: &BTreeMap<Uuid, &str>) -> Result<()> {
        let mut payment = self.database("sojourn_payment").await?;
        let captured: Vec<(Uuid, String)> = sqlx::query_as(
            "SELECT order_id, sum(captured_amount)::text || ' ' || currency FROM payment WHERE status = 'captured'
             GROUP BY order_id, currency ORDER BY order_id",
        )
        .fetch_all(&mut payment)
        .await?;
        let captured: Vec<(Uuid, &str)> = captured.iter().map(|(order, paid)| (*order, paid.as_str())).collect();
        let expected: Vec<(Uuid, &str)> = confirmed.iter().map(|(order, paid)| (*order, *paid)).collect();
        ensure!(captured == expected, "S23, S25: what was captured is not what is paid of the confirmed orders");
        none(
            &mut payment,
            "S23: open authorizations",
            "SELECT count(*) FROM payment WHERE status IN ('pending', 'requires_action', 'authorized')",
        )
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
            "SELECT count(*) FROM (SELECT currency FROM ledger_line WHERE account = 'authorizations_open'
                                   GROUP BY currency HAVING sum(amount) <> 0) reserved",
        )
        .await?;
        none(
            &mut payment,
            "S23: money in the ledger that is not what was captured",
            "SELECT count(*) FROM
                 (SELECT currency, sum(amount) AS booked FROM ledger_line WHERE account = 'provider_receivable'
                  GROUP BY currency) ledger
             FULL JOIN
                 (SELECT currency, sum(captured_amount - refunded_amount) AS taken FROM payment
                  WHERE captured_amount > 0 GROUP BY currency) books USING (currency)
             WHERE booked IS DISTINCT FROM taken",
        )
        .await?;
        none(
            &mut payment,
            "S23: charges at the provider that the payments do not know, or know otherwise",
            "SELECT count(*) FROM sandbox.charge c FULL JOIN payment p ON p.provider_reference = c.reference
             WHERE (p.status IS DISTINCT FROM c.status OR p.captured_amount IS DISTINCT FROM c.captured_amount)
               AND NOT (p.status IS NULL AND c.status IN ('voided', 'failed'))
               AND NOT (p.status IN ('voided', 'failed') AND coalesce(c.status, 'failed') IN ('voided', 'failed'))",
        )
        .await
    }
}

const FLIGHT_HOLDS: &str = "SELECT order_id, status FROM seat_hold WHERE status NOT IN ('released', 'expired')";
const ROOM_HOLDS: &str = "SELECT order_id, status FROM room_hold WHERE status NOT IN ('released', 'expired')";

/// Held by nobody, sold exactly to the confirmed orders that have such items, and every unit accounted for (S21).
async fn audit_inventory(
    database: &mut PgConnection,
    live_holds: &'static str,
    confirmed: &BTreeSet<Uuid>,
) -> Result<()> {
    none(
        database,
        "S21: inventory that is not conserved",
        "SELECT count(*) FROM inventory_conservation WHERE NOT conserved OR held <> 0",
    )
    .await?;
    let live: Vec<(Uuid, String)> = sqlx::query_as(live_holds).fetch_all(database).await?;
    for (order, status) in &live {
        ensure!(status == "confirmed" && confirmed.contains(order), "S21: the hold of {order} is {status}");
    }
    let live: BTreeSet<Uuid> = live.into_iter().map(|(order, _)| order).collect();
    let lost: Vec<&Uuid> = confirmed.difference(&live).collect();
    ensure!(lost.is_empty(), "S1: confirmed orders without what they paid for: {lost:?}");
    Ok(())
}

async fn none(database: &mut PgConnection, what: &str, count: &'static str) -> Result<()> {
    let found: i64 = sqlx::query_scalar(count).fetch_one(database).await?;
    ensure!(found == 0, "{what}: {found}");
    Ok(())
}
