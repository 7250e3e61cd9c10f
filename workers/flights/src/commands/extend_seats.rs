//! Extending: the seats of an order are looked at once more, and held for as long as a new hold would be.
//!
//! The look comes first (S25): what is held must be what was accepted, at the accepted totals. Seats that are still held
//! stay so, however late it is; those of a hold that ran out are taken again when they are free at the same price.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contract::{
    Outcome,
    flights::{
        AcceptedFlight, ExtendSeats, REFUSED_HOLD_EXPIRED, REFUSED_HOLD_UNKNOWN, REFUSED_PRICE_CHANGED, SeatsHeld, v2,
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
        let asked: Vec<_> = set.iter().map(|member| second(&member.command)).collect();
        self.extend_all(tx, &asked.iter().collect::<Vec<_>>(), now).await
    }
}

impl SetHandler<v2::ExtendSeats> for Flights {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<v2::ExtendSeats>]) -> SetHandled<SeatsHeld> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        self.extend_all(tx, &set.iter().map(|member| &member.command).collect::<Vec<_>>(), now).await
    }
}

/// The first version in the words of the second: it asks for no time of its own.
fn second(ExtendSeats { order_id, offers }: &ExtendSeats) -> v2::ExtendSeats {
    v2::ExtendSeats { order_id: *order_id, offers: offers.clone(), for_minutes: 0 }
}

impl Flights {
    async fn extend_all(
        &self,
        tx: &mut PgConnection,
        asked: &[&v2::ExtendSeats],
        now: DateTime<Utc>,
    ) -> SetHandled<SeatsHeld> {
        let orders: Vec<Uuid> = asked.iter().map(|command| order_of(command)).collect();
        lock(tx, &orders).await?;
        let holds = read_holds(tx, &orders).await?;
        let (mut held, mut live) = (HashMap::new(), Vec::new());
        for command in asked {
            let order = order_of(command);
            let Some(hold) = holds.get(&order).filter(|hold| hold.fits(&command.offers)) else { continue };
            let until = now + self.hold_for.at_least(command.for_minutes);
            // A hold that lasts longer keeps its time.
            let longest = held.get(&order).copied().unwrap_or(hold.expires_at).max(until);
            let is_held = match hold.status.as_str() {
                "held" => true,
                "expired" => held.contains_key(&order) || Self::take_again(tx, order, now, until).await?,
                _ => false,
            };
            if is_held {
                held.insert(order, longest);
                live.push((order, longest));
            }
        }
        extend(tx, &live).await?;
        let outcome = |command: &&v2::ExtendSeats| match held.get(&order_of(command)) {
            Some(expires_at) if holds.get(&order_of(command)).is_some_and(|hold| hold.fits(&command.offers)) => {
                Outcome::done(SeatsHeld { expires_at: *expires_at })
            }
            Some(_) | None => why_not(command, holds.get(&order_of(command))),
        };
        Ok(asked.iter().map(outcome).collect())
    }
}

const fn order_of(command: &v2::ExtendSeats) -> Uuid {
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

/// Lets live holds last until then.
async fn extend(tx: &mut PgConnection, live: &[(Uuid, DateTime<Utc>)]) -> Result<(), DomainError> {
    if live.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE seat_hold h SET expires_at = a.until
         FROM (SELECT order_id, max(until) AS until FROM unnest($1::uuid[], $2::timestamptz[]) AS a (order_id, until)
               GROUP BY order_id) a
         WHERE h.order_id = a.order_id AND h.status = 'held'",
    )
    .bind(live.iter().map(|(order, _)| *order).collect::<Vec<_>>())
    .bind(live.iter().map(|(_, until)| *until).collect::<Vec<_>>())
    .execute(tx)
    .await
    .map_err(DomainError::doing("extending holds"))?;
    Ok(())
}

fn why_not(command: &v2::ExtendSeats, hold: Option<&HoldRow>) -> Outcome<SeatsHeld> {
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
