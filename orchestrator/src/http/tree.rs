//! `GET /api/sagas/{id}/tree`: a saga with its children, and theirs, in one answer.

use std::collections::{HashMap, VecDeque};

use axum::extract::State;
use contract::{
    SagaId,
    orchestrator_api::{SagaSummary, SagaTree},
};
use journal::{Door, Filter, Listed};
use kit::http::{ApiError, Json, Path};
use machine::catalog::CHILDREN_MAX;

use super::{Api, problems, reads::saga_view};
use crate::view;

/// Sagas of one tree that are shown: each child that a definition can have, once more for every retry that is likely.
const TREE_SAGAS_MAX: usize = 4 * CHILDREN_MAX;

/// The tree below a saga. Of a family beyond the bound the last children are left out.
pub(super) async fn show(State(api): State<Api>, Path(id): Path<SagaId>) -> Result<Json<SagaTree>, ApiError> {
    let root = saga_view(&api.shared, Door::Reads, id).await?.summary;
    let mut below: HashMap<SagaId, Vec<Listed>> = HashMap::new();
    let (mut found, mut to_visit) = (1, VecDeque::from([id]));
    while let Some(parent) = to_visit.pop_front() {
        let room = u32::try_from(TREE_SAGAS_MAX - found).unwrap_or(0);
        if room == 0 {
            break;
        }
        let filter = Filter { parent: Some(parent), ..Filter::default() };
        let listing = api.shared.journal.list(&filter, room).await.map_err(|error| problems::journal(&error))?;
        found += listing.sagas.len();
        to_visit.extend(listing.sagas.iter().map(|listed| listed.row.id));
        below.insert(parent, listing.sagas);
    }
    Ok(Json(tree(root, &mut below)))
}

fn tree(saga: SagaSummary, below: &mut HashMap<SagaId, Vec<Listed>>) -> SagaTree {
    // Lists run newest first.
    let children = below.remove(&saga.id).unwrap_or_default();
    let children = children.iter().rev().map(|child| tree(view::summary(&child.row, child.holds_until), below));
    SagaTree { children: children.collect(), saga }
}
