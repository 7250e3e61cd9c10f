//! The children of a saga, each with its steps, so that they open in place on its page.

use chrono::{DateTime, Utc};
use contract::{SagaId, StepName, orchestrator_api::SagaView};
use futures::future::try_join_all;

use super::path;
use crate::{
    app::App,
    door::DoorError,
    session::Session,
    view::{
        graph,
        rows::{self, SagaRow},
    },
};

/// The children whose steps are drawn: of the agency's sagas none has more than one. The tab with the tree has all.
const DRAWN_MAX: usize = 4;

/// A child saga that is drawn on the page of its parent.
pub(super) struct Child {
    /// The step that started it.
    pub(super) step: String,
    pub(super) row: SagaRow,
    pub(super) drawing: String,
}

pub(super) async fn children(
    app: &App,
    session: &Session,
    view: &SagaView,
    now: DateTime<Utc>,
) -> Result<Vec<Child>, DoorError> {
    let started = view.steps.iter().filter_map(|step| Some((&step.name, step.child?)));
    try_join_all(started.take(DRAWN_MAX).map(|(step, id)| child(app, session, step, id, now))).await
}

async fn child(
    app: &App,
    session: &Session,
    step: &StepName,
    id: SagaId,
    now: DateTime<Utc>,
) -> Result<Child, DoorError> {
    let view: SagaView = app.door.get(session, &path(&id.to_string(), ""), &[]).await?;
    let drawing = graph::draw(&graph::needed(&view.steps));
    Ok(Child {
        step: step.to_string(),
        row: rows::saga(&view.summary, now),
        drawing: drawing.map_err(|error| DoorError::Unreadable(error.to_string()))?,
    })
}
