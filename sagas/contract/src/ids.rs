//! The identifiers. Each has a type of its own and a readable prefix, so that a saga's id can never be passed for an
//! order's and a person who reads a log knows what they look at.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};
use uuid::Uuid;

/// The error of a text that is not the id that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}: expected `{prefix}_` and 32 hexadecimal digits")]
pub struct IdError {
    what: &'static str,
    prefix: &'static str,
    text: String,
}

/// The longest piece of a wrong id that an error repeats, in characters; what is longer is cut.
const ECHO_CHARS_MAX: usize = 64;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The letters before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// The id of these 128 bits.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The 128 bits, as databases store them.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", Self::PREFIX, self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|hex| hex.len() == 32)
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or_else(|| IdError {
                        what: stringify!($name),
                        prefix: $prefix,
                        text: text.chars().take(ECHO_CHARS_MAX).collect(),
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

id!(
    /// One saga instance. A UUIDv7, so that ids sort by the time of their start; the lowest 16 bits choose the shard.
    SagaId,
    "saga"
);
id!(
    /// One request for the approval of a second operator.
    ApprovalId,
    "apr"
);
id!(
    /// One order of a client.
    OrderId,
    "ord"
);
id!(
    /// One registered person.
    UserId,
    "usr"
);
id!(
    /// One login of a person, with all the refreshes that follow from it.
    LoginId,
    "login"
);
id!(
    /// One payment of an order.
    PaymentId,
    "pay"
);
id!(
    /// One hold of a flight by a client.
    FlightHoldId,
    "hold"
);
id!(
    /// One message on the broker.
    MessageId,
    "msg"
);
id!(
    /// One request of an operator. A request that comes again, under the same id, is not carried out again.
    RequestId,
    "req"
);
id!(
    /// One job over many sagas.
    JobId,
    "job"
);
id!(
    /// One running program (an orchestrator, a worker), new at each start.
    InstanceId,
    "ins"
);

impl JobId {
    /// The shard whose owner carries this job out, of `shards` (at least 1).
    #[must_use]
    pub fn shard(self, shards: u16) -> u16 {
        shard_of(self.0, shards)
    }

    /// The name of the request for the saga at a place of the job: the same one whenever, and by whichever process, it is
    /// sent. Ids of jobs differ in far more than the bits of a place.
    #[must_use]
    pub const fn request_at(self, place: u32) -> RequestId {
        RequestId(Uuid::from_u128(self.0.as_u128() ^ ((place as u128) << 16)))
    }
}

/// The lowest 16 bits of an id choose its shard.
fn shard_of(id: Uuid, shards: u16) -> u16 {
    let low = (id.as_u128() & 0xffff) as u16;
    low % shards.max(1)
}

impl SagaId {
    /// The shard that this saga belongs to, of `shards` (at least 1).
    #[must_use]
    pub fn shard(self, shards: u16) -> u16 {
        shard_of(self.0, shards)
    }

    /// The same id with its lowest 16 bits set so that [`SagaId::shard`] answers `shard`; the bits above the
    /// remainder stay as random as they were.
    ///
    /// `shard` must be below `shards`.
    #[must_use]
    pub fn placed_on(self, shard: u16, shards: u16) -> Self {
        let shards = shards.max(1);
        let low = (self.0.as_u128() & 0xffff) as u16;
        let round = low / shards;
        // The last, incomplete round would overflow 16 bits for high shards: use the round before it.
        let placed = round.checked_mul(shards).and_then(|base| base.checked_add(shard % shards));
        let placed = placed.unwrap_or_else(|| (round - 1) * shards + shard % shards);
        Self(Uuid::from_u128((self.0.as_u128() & !0xffff) | u128::from(placed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text_and_from_nothing_else() {
        let id = OrderId::from_uuid(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_00ff));
        assert_eq!(id.to_string(), "ord_019200000000700080000000000000ff");
        assert_eq!(id.to_string().parse::<OrderId>(), Ok(id));
        assert!(id.to_string().parse::<UserId>().is_err());
        assert!("ord_1234".parse::<OrderId>().is_err());
        assert!("".parse::<OrderId>().is_err());
    }

    #[test]
    fn a_saga_can_be_placed_on_every_shard() {
        for shards in [1, 2, 3, 7, 8, 64, 1000] {
            for shard in 0..shards {
                for low in [0, 1, 255, 0x7fff, 0xfffe, 0xffff] {
                    let id = SagaId::from_uuid(Uuid::from_u128(0xabcd_0000 | low));
                    let placed = id.placed_on(shard, shards);
                    assert_eq!(placed.shard(shards), shard, "{low} on {shard} of {shards}");
                    assert_eq!(placed.uuid().as_u128() >> 16, id.uuid().as_u128() >> 16);
                }
            }
        }
    }
}
