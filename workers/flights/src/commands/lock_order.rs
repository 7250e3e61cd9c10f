//! The cabins of a batch with commands of several kinds, locked in the order of (flight, cabin).

use contract::flights::{ConfirmSeats, ExtendSeats, HoldSeats, ReleaseSeats, v2};
use sqlx::PgConnection;
use worker_runtime::{Batch, DomainError, HandlerError, LockOrder};

use super::Flights;
use crate::offer::FlightTerms;

impl LockOrder for Flights {
    async fn lock(&self, tx: &mut PgConnection, batch: &Batch<'_>) -> Result<(), HandlerError> {
        let offers = batch.of::<HoldSeats>().flat_map(|command| &command.offers);
        let offers = offers.chain(batch.of::<v2::HoldSeats>().flat_map(|command| &command.offers));
        let opened = offers.filter_map(|flight| FlightTerms::open(&self.offer_keys, &flight.offer_id).ok());
        let (flights, cabins): (Vec<i64>, Vec<&str>) =
            opened.map(|offer| (offer.terms().flight_id, offer.terms().cabin.as_str())).unzip();
        let released = batch.of::<ReleaseSeats>().map(|command| command.order_id);
        let confirmed = batch.of::<ConfirmSeats>().map(|command| command.order_id);
        let extended = batch.of::<ExtendSeats>().map(|command| command.order_id);
        let extended = extended.chain(batch.of::<v2::ExtendSeats>().map(|command| command.order_id));
        sqlx::query(
            "SELECT FROM cabin_inventory
             WHERE (flight_id, cabin) IN (
                 SELECT * FROM unnest($1::bigint[], $2::text[])
                 UNION ALL
                 SELECT l.flight_id, l.cabin FROM seat_hold h JOIN seat_hold_line l USING (order_id)
                 WHERE h.order_id = ANY($3) AND h.status IN ('held', 'expired'))
             ORDER BY flight_id, cabin FOR NO KEY UPDATE",
        )
        .bind(flights)
        .bind(cabins)
        .bind(released.chain(confirmed).chain(extended).map(|order_id| order_id.uuid()).collect::<Vec<_>>())
        .execute(tx)
        .await
        .map_err(DomainError::doing("locking the seats of a batch"))?;
        Ok(())
    }
}
