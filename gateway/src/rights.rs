//! The access tokens that are void before their time, because the rights of their people have changed or their login has
//! ended. The user service
//! is asked at every look at the parts, so that a change is in force everywhere within seconds; while it is away, what
//! was known last stays in force.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::http::StatusCode;
use contract::{
    LoginId, UserId,
    user::{Claims, RightsGeneration},
};
use serde::de::DeserializeOwned;

use crate::{
    hop::Hop,
    upstream::{Call, Upstream, UpstreamError},
};

/// How long the user service may take: as long as a look at a part.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// The generations of the rights that changed a short time ago, and the logins that ended.
pub(crate) struct Rights {
    user: Arc<Upstream>,
    changed: RwLock<HashMap<UserId, u32>>,
    ended: RwLock<HashSet<LoginId>>,
}

impl Rights {
    pub(crate) fn new(user: Arc<Upstream>) -> Self {
        Self { user, changed: RwLock::default(), ended: RwLock::default() }
    }

    /// True for a token of an earlier generation than its person's, or of a login that has ended.
    pub(crate) fn void(&self, claims: &Claims) -> bool {
        let changed = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        let outdated = changed.get(&claims.sub).is_some_and(|generation| claims.generation < *generation);
        let ended = self.ended.read().unwrap_or_else(PoisonError::into_inner);
        outdated || claims.sid.is_some_and(|login| ended.contains(&login))
    }

    /// Asks which rights have changed, and which logins have ended. A failure has been logged.
    pub(crate) async fn keep_fresh(&self) {
        let (changed, ended) = tokio::join!(
            self.ask::<Vec<RightsGeneration>>("/internal/user/rights"),
            self.ask::<HashSet<LoginId>>("/internal/user/sessions/ended"),
        );
        if let Ok(changed) = changed {
            let changed = changed.into_iter().map(|rights| (rights.user_id, rights.generation)).collect();
            *self.changed.write().unwrap_or_else(PoisonError::into_inner) = changed;
        }
        if let Ok(ended) = ended {
            *self.ended.write().unwrap_or_else(PoisonError::into_inner) = ended;
        }
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, UpstreamError> {
        let mut call = Call::get(path);
        call.timeout = ASK_TIMEOUT;
        let answer = self.user.call(&Hop::own(), call).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.unexpected());
        }
        answer.json()
    }
}
