//! A new person finds a word of welcome in the feed.

use contract::user::UserCreated;
use sqlx::PgConnection;
use worker_runtime::{EventContext, EventHandler, HandlerError};

use crate::notice::{self, NewNotice, WELCOME};

/// Puts the welcome into the new person's feed.
pub(crate) struct Welcome;

impl EventHandler<UserCreated> for Welcome {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        event: UserCreated,
        context: &mut EventContext,
    ) -> Result<(), HandlerError> {
        let welcome = NewNotice { user_id: event.user_id, kind: WELCOME, order_id: None };
        Ok(notice::put(tx, &[welcome], context.now).await?)
    }
}
