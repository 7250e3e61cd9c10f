//! Extending: the seats of an order are looked at once more, and held for as long as a new hold would be.
//!
//! The look comes first (S25): what is held must be what was accepted, at the accepted totals. Seats that are still held
//! stay so, however late it is; those of a hold that ran out are taken again when they are free at the same price.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contract::{
    Outcome,
    flights::{
        AcceptedFlight, ExtendSeats, REFUSED_HOLD_EXPIRED, REFUSED_HOLD_UNKNOWN, REFUSED_PRICE_CHANGED, SeatsHeld,
    },
};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{DomainError, Member, SetHandled, SetHandler};

use super::Flights;

impl SetHandler<ExtendSeats> for Flights {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<ExtendSeats>]) -> SetHandled<SeatsHeld> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        let commands: Vec<&ExtendSeats> = set.iter().map(|member| &member.command).collect();
        let orders: Vec<Uuid> = commands.iter().map(|command| order_of(command)).collect();
        lock(tx, &orders).await?;
        let holds = read_holds(tx, &orders).await?;
        let until = now + self.hold_for.duration();
        let as_accepted =
            |command: &&&ExtendSeats| holds.get(&order_of(command)).is_some_and(|hold| hold.fits(&command.offers));
        let (mut extended, mut live) = (HashSet::new(), Vec::new());
        for command in commands.iter().filter(as_accepted) {
            let order = order_of(command);
            match holds.get(&order).map(|hold| hold.status.as_str()) {
                Some("held") => live.push(order),
                Some("expired") if !extended.contains(&order) && self.take_again(tx, order, now).await? => {
                    extended.insert(order);
                }
                Some(_) | None => {}
            }
        }
        extend(tx, &live, until).await?;
        extended.extend(live);
        let outcome = |command: &&ExtendSeats| match extended.contains(&order_of(command)) {
            true => Outcome::done(SeatsHeld { expires_at: until }),
            false => why_not(command, holds.get(&order_of(command))),
        };
        Ok(commands.iter().map(outcome).collect())
    }
}

const fn order_of(command: &ExtendSeats) -> Uuid {
    command.order_id.uuid()
}

/// Locks the inventory of these orders in the order of (flight, cabin): whatever moves it waits, and their holds stand still.
async fn lock(tx: &mut PgConnection, orders: &[Uuid]) -> Result<(), DomainError> {
    sqlx::query(
        "SELECT FROM cabin_inventory
         WHERE (flight_id, cabin) IN (
             SELECT l.flight_id, l.cabin FROM seat_hold h JOIN seat_hold_line l USING (order_id)
             WHERE h.order_id = ANY($1) AND h.status IN ('held', 'expired'))
         ORDER BY flight_id, cabin FOR NO KEY UPDATE",
    )
    .bind(orders)
    .execute(tx)
    .await
    .map_err(DomainError::doing("locking held seats"))?;
    Ok(())
}

/// The hold of an order, with its lines.
#[derive(sqlx::FromRow)]
struct HoldRow {
    order_id: Uuid,
    status: String,
    expires_at: DateTime<Utc>,
    offers: Vec<Uuid>,
    totals: Vec<Decimal>,
    currencies: Vec<String>,
}

impl HoldRow {
    /// True when it holds just what was accepted, at its totals.
    fn fits(&self, accepted: &[AcceptedFlight]) -> bool {
        let held = self.offers.iter().zip(&self.totals).zip(&self.currencies);
        let fits = |(((offer, total), currency), accepted): (((&Uuid, &Decimal), &String), &AcceptedFlight)| {
            let price = accepted.total;
            (*offer, *total, currency.as_str()) == (accepted.offer_id.uuid(), price.amount(), price.currency_code())
        };
        self.offers.len() == accepted.len() && held.zip(accepted).all(fits)
    }
}

async fn read_holds(tx: &mut PgConnection, orders: &[Uuid]) -> Result<HashMap<Uuid, HoldRow>, DomainError> {
    let holds: Vec<HoldRow> = sqlx::query_as(
        "SELECT h.order_id, h.status, h.expires_at,
                coalesce(array_agg(l.offer_id ORDER BY l.line) FILTER (WHERE l.line IS NOT NULL), '{}') AS offers,
                coalesce(array_agg(l.total ORDER BY l.line) FILTER (WHERE l.line IS NOT NULL), '{}') AS totals,
                coalesce(array_agg(l.currency ORDER BY l.line) FILTER (WHERE l.line IS NOT NULL), '{}') AS currencies
         FROM seat_hold h LEFT JOIN seat_hold_line l USING (order_id)
         WHERE h.order_id = ANY($1) GROUP BY h.order_id",
    )
    .bind(orders)
    .fetch_all(tx)
    .await
    .map_err(DomainError::doing("reading holds"))?;
    Ok(holds.into_iter().map(|hold| (hold.order_id, hold)).collect())
}

/// Lets live holds last until then. A hold that lasts longer keeps its time.
async fn extend(tx: &mut PgConnection, orders: &[Uuid], until: DateTime<Utc>) -> Result<(), DomainError> {
    if orders.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE seat_hold SET expires_at = greatest(expires_at, $2) WHERE order_id = ANY($1) AND status = 'held'",
    )
    .bind(orders)
    .bind(until)
    .execute(tx)
    .await
    .map_err(DomainError::doing("extending holds"))?;
    Ok(())
}

fn why_not(command: &ExtendSeats, hold: Option<&HoldRow>) -> Outcome<SeatsHeld> {
    let order_id = command.order_id;
    match hold {
        Some(hold) if matches!(hold.status.as_str(), "held" | "expired") && !hold.fits(&command.offers) => {
            let message = format!("the seats of {order_id} are not held at the totals that were accepted");
            Outcome::refused(REFUSED_PRICE_CHANGED, message)
        }
        Some(hold) if hold.status == "expired" => {
            let until = hold.expires_at;
            let message = format!("the seats of {order_id} were held until {until} and are not free at that price now");
            Outcome::refused(REFUSED_HOLD_EXPIRED, message)
        }
        Some(_) | None => Outcome::refused(REFUSED_HOLD_UNKNOWN, format!("no seats are held for {order_id}")),
    }
}
