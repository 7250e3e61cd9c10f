//! Events taken in: many in one transaction, and when these do not get along, in halves, until the one in the way is
//! alone.
//!
//! ```text
//!  BEGIN, claim in the inbox | handler, handler, ... | outbox | COMMIT
//!                any failure: everything rolls back, and each half is tried
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
    limits, observe,
    own_connection::OwnConnection,
    parts::Parts,
};

impl Engine {
    /// Takes in `batch`, in this order; one result each. Waits while the database is gone.
    pub(crate) async fn take_in(
        &self,
        own: &mut OwnConnection,
        batch: &[ReceivedEvent],
    ) -> Result<Vec<Intake>, Stopped> {
        let mut intakes = Vec::with_capacity(batch.len());
        let mut parts = Parts::new(batch.iter().collect(), Vec::new());
        while let Some(part) = parts.next() {
            if let [received] = part.members.as_slice() {
                intakes.push(self.take_in_alone(own, received).await?);
                continue;
            }
            match self.take_in_together(own, &part.members).await {
                Ok(taken) => intakes.extend(taken),
                Err(Failure::Gone(error)) => {
                    self.wait_for_database(own, &error).await?;
                    parts.lost_connection(part);
                }
                Err(Failure::Conflict(_)) => parts.overtaken(part),
                Err(failure @ Failure::Handler(_)) => {
                    observe::halved(self.domain, part.members.len(), &failure.text());
                    parts.failed(part);
                }
            }
        }
        Ok(intakes)
    }

    async fn take_in_alone(&self, own: &mut OwnConnection, received: &ReceivedEvent) -> Result<Intake, Stopped> {
        let (mut conflicts, mut connections_lost) = (0, 0);
        loop {
            let failure = match self.take_in_together(own, &[received]).await {
                Ok(mut taken) => match taken.pop() {
                    Some(taken) => return Ok(taken),
                    None => unreachable!("one event has one result"),
                },
                Err(failure) => failure,
            };
            return Ok(match failure {
                Failure::Gone(error) => {
                    self.wait_for_database(own, &error).await?;
                    connections_lost += 1;
                    if connections_lost < limits::CONNECTIONS_LOST_MAX {
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

    async fn take_in_together(
        &self,
        own: &mut OwnConnection,
        batch: &[&ReceivedEvent],
    ) -> Result<Vec<Intake>, Failure> {
        let taken = self.within_limits(async {
            let mut tx = own.begin().await.map_err(Failure::Gone)?;
            let (taken, announcements) = self.handle_events(&mut tx, batch).await?;
            tx.commit().await.map_err(Failure::of_commit)?;
            announcements.committed(&self.events);
            Ok(taken)
        });
        let taken = taken.await;
        if taken.as_ref().is_err_and(Failure::leaves_connection_in_doubt) {
            own.forget();
        }
        taken
    }

    /// All of the transaction but its end: claims the events, runs the handlers of the new ones, stores what they emit.
    pub(crate) async fn handle_events(
        &self,
        tx: &mut PgConnection,
        batch: &[&ReceivedEvent],
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
