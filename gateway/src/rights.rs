//! The access tokens that are void before their time, because the rights of their people have changed. The user service
//! is asked at every look at the parts, so that a change is in force everywhere within seconds; while it is away, what
//! was known last stays in force.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::http::StatusCode;
use contract::{
    UserId,
    user::{Claims, RightsGeneration},
};

use crate::{
    hop::Hop,
    upstream::{Call, Upstream, UpstreamError},
};

/// How long the user service may take: as long as a look at a part.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// The generations of the rights that changed a short time ago.
pub(crate) struct Rights {
    user: Arc<Upstream>,
    changed: RwLock<HashMap<UserId, u32>>,
}

impl Rights {
    pub(crate) fn new(user: Arc<Upstream>) -> Self {
        Self { user, changed: RwLock::default() }
    }

    /// True for a token of an earlier generation than its person's.
    pub(crate) fn void(&self, claims: &Claims) -> bool {
        let changed = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        changed.get(&claims.sub).is_some_and(|generation| claims.generation < *generation)
    }

    /// Asks which rights have changed. A failure has been logged.
    pub(crate) async fn keep_fresh(&self) {
        if let Ok(changed) = self.ask().await {
            let changed = changed.into_iter().map(|rights| (rights.user_id, rights.generation)).collect();
            *self.changed.write().unwrap_or_else(PoisonError::into_inner) = changed;
        }
    }

    async fn ask(&self) -> Result<Vec<RightsGeneration>, UpstreamError> {
        let mut call = Call::get("/internal/user/rights");
        call.timeout = ASK_TIMEOUT;
        let answer = self.user.call(&Hop::own(), call).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.unexpected());
        }
        answer.json()
    }
}
