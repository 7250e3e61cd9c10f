//! The dry run of a migration: which running sagas a version of their definition could take over, and what is in the way of the
//! others. From here one saga is handed over by its own page, and all of a version by a job.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use contract::{
    Page,
    orchestrator_api::{MigrationView, SagaCounts},
};
use serde::Deserialize;

use super::{new_job, open_counts, page, paged};
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::{
        names,
        prose::{self, Prose},
        rows::{self, SagaRow},
    },
    visitor::Visitor,
};

/// A running saga, and what keeps the version from taking it over.
struct Candidate {
    saga: SagaRow,
    obstacles: Vec<Prose>,
}

/// The open sagas of another version, and the address of a job that hands them over.
struct Others {
    version: u32,
    sagas: u64,
    job: String,
}

#[derive(Template)]
#[template(path = "migration.html")]
struct MigrationPage {
    frame: Frame,
    title: String,
    version: u32,
    candidates: Vec<Candidate>,
    others: Vec<Others>,
    next: Option<String>,
}

/// A place in the listing.
#[derive(Deserialize)]
pub(crate) struct Asked {
    page: Option<String>,
}

/// The address of the dry run for one version.
pub(super) fn address(name: &str, version: u32) -> String {
    format!("/ops/definitions/{name}/{version}/migration")
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path((name, version)): Path<(String, u32)>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let (door, session, open) = (&app.door, &visitor.session, open_counts::parameters());
    let mut parameters = paged(&asked.page);
    parameters.extend([("name", name.clone()), ("to", version.to_string())]);
    let (found, open) = futures::try_join!(
        door.get::<Page<MigrationView>>(session, "/migrations", &parameters),
        door.get::<SagaCounts>(session, "/counts", &open),
    )?;
    let candidate = |MigrationView { summary, obstacles }: MigrationView| Candidate {
        saga: rows::saga(&summary, visitor.now),
        obstacles: obstacles.iter().map(|obstacle| prose::prose(obstacle)).collect(),
    };
    let others = open_counts::of_others(&open, &name, version).into_iter().map(|(from, sagas)| Others {
        version: from,
        sagas,
        job: new_job::address_of_migration(version, &format!("name:{name} version:{from}")),
    });
    page(&MigrationPage {
        frame: visitor.frame("Migration"),
        title: names::title(&name),
        version,
        candidates: found.items.into_iter().map(candidate).collect(),
        others: others.collect(),
        next: found.next_page_token.map(|token| super::next(&address(&name, version), token.as_str())),
    })
}
