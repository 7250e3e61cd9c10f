//! The nights of a batch with commands of several kinds, locked in the order of (room type, night).

use chrono::NaiveDate;
use contract::accommodation::{ConfirmRooms, ExtendRooms, HoldRooms, ReleaseRooms};
use sqlx::PgConnection;
use worker_runtime::{Batch, DomainError, HandlerError, LockOrder};

use super::Accommodation;
use crate::offer::StayTerms;

impl LockOrder for Accommodation {
    async fn lock(&self, tx: &mut PgConnection, batch: &Batch<'_>) -> Result<(), HandlerError> {
        let offers = batch.of::<HoldRooms>().flat_map(|command| &command.offers);
        let opened = offers.filter_map(|stay| StayTerms::open(&self.offer_keys, &stay.offer_id).ok());
        let (mut room_types, mut check_ins, mut check_outs): (Vec<i32>, Vec<NaiveDate>, Vec<NaiveDate>) =
            Default::default();
        for offer in opened {
            let StayTerms { room_type_id, check_in, check_out, .. } = *offer.terms();
            room_types.push(room_type_id);
            check_ins.push(check_in);
            check_outs.push(check_out);
        }
        let released = batch.of::<ReleaseRooms>().map(|command| command.order_id);
        let confirmed = batch.of::<ConfirmRooms>().map(|command| command.order_id);
        let extended = batch.of::<ExtendRooms>().map(|command| command.order_id);
        sqlx::query(
            "WITH stay AS (
                 SELECT * FROM unnest($1::int[], $2::date[], $3::date[]) AS a (room_type_id, check_in, check_out)
                 UNION ALL
                 SELECT l.room_type_id, l.check_in, l.check_out FROM room_hold h JOIN room_hold_line l USING (order_id)
                 WHERE h.order_id = ANY($4) AND h.status IN ('held', 'expired')
             )
             SELECT FROM room_night
             WHERE (room_type_id, night) IN (
                 SELECT m.room_type_id, m.night FROM stay s JOIN room_night m
                   ON m.room_type_id = s.room_type_id AND m.night >= s.check_in AND m.night < s.check_out)
             ORDER BY room_type_id, night FOR NO KEY UPDATE",
        )
        .bind(room_types)
        .bind(check_ins)
        .bind(check_outs)
        .bind(released.chain(confirmed).chain(extended).map(|order_id| order_id.uuid()).collect::<Vec<_>>())
        .execute(tx)
        .await
        .map_err(DomainError::doing("locking the nights of a batch"))?;
        Ok(())
    }
}
