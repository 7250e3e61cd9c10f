//! Offers that no search gives out: past their hour, changed, or under another installation's key.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    OfferId,
    offer::{OfferKind, OfferToken},
};
use kit::clock::Clock as _;
use serde_json::{Value, json};
use worker_runtime::{DEVELOPMENT_OFFER_KEY, OfferKeys};

/// How an offer differs from the one that a search gave out.
#[derive(Debug, Clone, Copy)]
pub enum Spoiled {
    /// Sealed with the right key until a moment ago.
    Expired,
    /// Changed in its last byte.
    Altered,
    /// Sealed with another key.
    Forged,
}

/// An offer of a search, spoiled.
///
/// # Panics
/// When the programs do not run with the development key.
#[must_use]
pub fn spoiled(offer: &Value, how: Spoiled) -> Value {
    let id: OfferId = offer["offer_id"].as_str().and_then(|id| id.parse().ok()).expect("an offer of a search");
    let mut offer = offer.clone();
    offer["offer_id"] = match id {
        OfferId::Flight(id) => json!(spoiled_id(&id, how)),
        OfferId::Stay(id) => json!(spoiled_id(&id, how)),
    };
    offer
}

fn spoiled_id<K: OfferKind>(id: &OfferToken<K>, how: Spoiled) -> OfferToken<K> {
    let keys = |text: &str| OfferKeys::new(&[text.into()], false).expect("a key");
    let ours = keys(DEVELOPMENT_OFFER_KEY);
    let sealed = |keys: &OfferKeys, expires_at: DateTime<Utc>| {
        let terms: Value = ours.open(id).and_then(|opened| opened.good_at(DateTime::UNIX_EPOCH)).expect("terms");
        keys.seal(id.uuid(), expires_at, &terms)
    };
    let now = kit::clock::SystemClock.now();
    match how {
        Spoiled::Expired => sealed(&ours, now - TimeDelta::seconds(1)),
        Spoiled::Forged => sealed(&keys("another installation's key of offers"), now + TimeDelta::minutes(5)),
        Spoiled::Altered => {
            let mut seal = id.seal();
            seal.last_mut().into_iter().for_each(|byte| *byte ^= 1);
            OfferToken::new(id.uuid(), &seal)
        }
    }
}
