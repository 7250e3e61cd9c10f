//! The ids of child sagas, which put a whole family on one shard.

use chrono::{DateTime, Utc};
use contract::SagaId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::entry::Parent;

/// The bits of an id that choose its shard.
const SHARD_BITS: u128 = 0xffff;

/// The id of the child that a step starts as its `generation`th: of the present time, on the parent's shard, and the same
/// for the same decision.
pub(crate) fn child_id(parent: &Parent, generation: u16, now: DateTime<Utc>) -> SagaId {
    let digest = Sha256::digest(format!("{} {} {generation}", parent.saga_id, parent.step).as_bytes());
    let mut random = [0; 10];
    random.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().as_u128();
    let shard = parent.saga_id.uuid().as_u128() & SHARD_BITS;
    SagaId::from_uuid(Uuid::from_u128((id & !SHARD_BITS) | shard))
}
