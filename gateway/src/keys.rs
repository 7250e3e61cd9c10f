//! The keys that access tokens are verified with: the user service's JWK set, kept in memory. Asked for again when a
//! token names an unknown key (but not more often than a flood of such tokens should cost), and kept for as long as
//! the user service is away.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::http::StatusCode;
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse},
};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    hop::Hop,
    upstream::{Call, Upstream, UpstreamError},
};

/// How soon after one request for keys an unknown key may cause the next.
const ASK_INTERVAL_MIN: Duration = Duration::from_secs(5);

/// The same while there are no keys at all: nothing works without them.
const ASK_INTERVAL_MIN_EMPTY: Duration = Duration::from_millis(250);

/// How old keys may become before they are asked for again, so that a withdrawn one is forgotten.
const AGE_MAX: Duration = Duration::from_secs(300);

/// The most keys of a set; two are needed while keys are changed.
const KEYS_MAX: usize = 32;

/// The user service's keys, as they were last published.
pub(crate) struct Keys {
    user: Arc<Upstream>,
    known: RwLock<Known>,
    asking: Mutex<()>,
}

#[derive(Default)]
struct Known {
    by_id: HashMap<String, Arc<DecodingKey>>,
    published: Option<JwkSet>,
    asked_at: Option<Instant>,
    /// Whether it was answered then.
    answered: bool,
    got_at: Option<Instant>,
}

/// A reason why there is no such key.
#[derive(Debug)]
pub(crate) enum NoKey {
    /// The user service does not have it.
    Unknown,
    /// The user service could not be asked, and may have it.
    NotAsked(UpstreamError),
}

impl Keys {
    pub(crate) fn new(user: Arc<Upstream>) -> Self {
        Self { user, known: RwLock::default(), asking: Mutex::new(()) }
    }

    /// The key of that name.
    pub(crate) async fn find(&self, id: &str) -> Result<Arc<DecodingKey>, NoKey> {
        if let Some(key) = self.get(id) {
            return Ok(key);
        }
        let asked = self.ask_unless_just_done().await;
        match (self.get(id), asked) {
            (Some(key), _) => Ok(key),
            (None, Err(error)) => Err(NoKey::NotAsked(error)),
            (None, Ok(())) => Err(NoKey::Unknown),
        }
    }

    /// The public set, as it is shown to the world.
    pub(crate) async fn published(&self) -> Result<JwkSet, UpstreamError> {
        if let Some(set) = self.read(|known| known.published.clone()) {
            return Ok(set);
        }
        self.ask_unless_just_done().await?;
        self.read(|known| known.published.clone()).ok_or(UpstreamError::TimedOut { service: self.user.service() })
    }

    /// Asks again when the keys are old. An error, in words for readiness, only while there are none at all.
    pub(crate) async fn keep_fresh(&self) -> Result<(), String> {
        let fresh = self.read(|known| known.got_at.is_some_and(|at| at.elapsed() < AGE_MAX));
        if !fresh {
            // The failure has been logged; the old keys stay in force.
            self.ask_unless_just_done().await.ok();
        }
        if self.read(|known| known.by_id.is_empty()) {
            Err("the user service has published no keys yet".to_owned())
        } else {
            Ok(())
        }
    }

    async fn ask_unless_just_done(&self) -> Result<(), UpstreamError> {
        // A call that waits here finds the answer of the one before, and does not ask again.
        let _asking = self.asking.lock().await;
        let just_done = self.read(|known| {
            let interval = if known.by_id.is_empty() { ASK_INTERVAL_MIN_EMPTY } else { ASK_INTERVAL_MIN };
            known.asked_at.filter(|at| at.elapsed() < interval).map(|_| known.answered)
        });
        match just_done {
            Some(true) => return Ok(()),
            Some(false) => return Err(UpstreamError::TimedOut { service: self.user.service() }),
            None => {}
        }
        let asked = self.ask().await;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.asked_at = Some(Instant::now());
        known.answered = asked.is_ok();
        let set = asked?;
        known.by_id = usable(&set);
        known.got_at = known.asked_at;
        known.published = Some(set);
        Ok(())
    }

    async fn ask(&self) -> Result<JwkSet, UpstreamError> {
        let answer = self.user.call(&Hop::own(), Call::get("/internal/user/jwks")).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.unexpected());
        }
        answer.json()
    }

    fn get(&self, id: &str) -> Option<Arc<DecodingKey>> {
        self.read(|known| known.by_id.get(id).cloned())
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The Ed25519 signing keys of a set; others are left out.
fn usable(set: &JwkSet) -> HashMap<String, Arc<DecodingKey>> {
    let named = set.keys.iter().take(KEYS_MAX).filter(|jwk| is_ed25519(jwk));
    named.filter_map(|jwk| Some((jwk.common.key_id.clone()?, Arc::new(DecodingKey::from_jwk(jwk).ok()?)))).collect()
}

fn is_ed25519(jwk: &Jwk) -> bool {
    let signs = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let curve =
        matches!(&jwk.algorithm, AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519);
    signs && curve
}
