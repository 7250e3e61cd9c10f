//! Events taken in: many in one transaction, or each in its own when the many do not get along.
//!
//! ```text
//!  BEGIN, claim in the inbox | handler, handler, ... | outbox | COMMIT
//!                        any failure: everything rolls back, and each is tried alone
//! ```

use sqlx::PgConnection;

use super::{
    announcements::Announcements,
    handler::{EventContext, cause_of},
    inbox,
    received::{Intake, ReceivedEvent},
};
use crate::{
    engine::{CONFLICT_TRIES_MAX, Engine, Stopped},
    failure::{Failure, guarded},
    handler_error::HandlerError,
    observe,
};

/// How often an event may lose its connection to the database, which answers in between, before that is taken for the
/// event's doing and no outage.
const CONNECTIONS_LOST_MAX: u32 = 3;

impl Engine {
    /// Takes in `batch`, in this order; one result each. Waits while the database is gone.
    pub(crate) async fn take_in(&self, batch: &[ReceivedEvent]) -> Result<Vec<Intake>, Stopped> {
        if batch.len() > 1 {
            match self.take_in_together(batch).await {
                Ok(taken) => return Ok(taken),
                Err(Failure::Gone(error)) => self.wait_for_database(&error).await?,
                Err(failure) => observe::one_by_one(self.domain, batch.len(), &failure.text()),
            }
        }
        let mut taken = Vec::with_capacity(batch.len());
        for received in batch {
            taken.push(self.take_in_alone(received).await?);
        }
        Ok(taken)
    }

    async fn take_in_alone(&self, received: &ReceivedEvent) -> Result<Intake, Stopped> {
        let (mut conflicts, mut connections_lost) = (0, 0);
        loop {
            let failure = match self.take_in_together(std::slice::from_ref(received)).await {
                Ok(mut taken) => match taken.pop() {
                    Some(taken) => return Ok(taken),
                    None => unreachable!("one event has one result"),
                },
                Err(failure) => failure,
            };
            return Ok(match failure {
                Failure::Gone(error) => {
                    self.wait_for_database(&error).await?;
                    connections_lost += 1;
                    if connections_lost < CONNECTIONS_LOST_MAX {
                        continue;
                    }
                    Intake::Faulted(format!("its transaction lost {connections_lost} connections, the last by {error}"))
                }
                Failure::Conflict(_) if conflicts < CONFLICT_TRIES_MAX => {
                    conflicts += 1;
                    continue;
                }
                Failure::Conflict(text) => Intake::Faulted(text),
                Failure::Handler(HandlerError::Refused(refusal)) => {
                    Intake::Refused(format!("refused ({}): {}", refusal.code, refusal.message))
                }
                Failure::Handler(error) => Intake::Faulted(error.to_string()),
            });
        }
    }

    async fn take_in_together(&self, batch: &[ReceivedEvent]) -> Result<Vec<Intake>, Failure> {
        self.within_limits(async {
            let mut tx = self.begin().await?;
            let (taken, announcements) = self.handle_events(&mut tx, batch).await?;
            tx.commit().await.map_err(Failure::of_commit)?;
            announcements.committed(&self.events);
            Ok(taken)
        })
        .await
    }

    /// All of the transaction but its end: claims the events, runs the handlers of the new ones, stores what they emit.
    pub(crate) async fn handle_events(
        &self,
        tx: &mut PgConnection,
        batch: &[ReceivedEvent],
    ) -> Result<(Vec<Intake>, Announcements), Failure> {
        let now = self.clock.now();
        let mut new = inbox::claim(tx, batch.iter().map(|received| &received.event), now).await?;
        let mut announcements = Announcements::default();
        let mut taken = Vec::with_capacity(batch.len());
        for ReceivedEvent { event, registered } in batch {
            if !new.remove(&inbox::key(event)) {
                taken.push(Intake::Duplicate);
                continue;
            }
            let mut context = EventContext::of(event, now);
            let handled = registered.handler.handle(&mut *tx, &event.data, &mut context);
            guarded(handled).await?;
            announcements.add(&self.events, context.side_effects, now, &cause_of(event))?;
            taken.push(Intake::Applied);
        }
        announcements.store(tx).await?;
        Ok((taken, announcements))
    }
}
