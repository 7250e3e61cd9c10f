//! `POST /api/sagas/{id}/plan` and `POST /api/plans`: what an action would lead to. Both only read.

use axum::extract::State;
use contract::{
    SagaId,
    command::Refusal,
    orchestrator_api::{PLANS_MAX, PlanView, Plans, PlansRequest, Unplanned},
    problem::FieldError,
    saga::Action,
};
use journal::JournalError;
use kit::http::{ApiError, Json, Path};

use super::{Api, problems, reads};
use crate::{four_eyes, plan, saga_instance::Parked};

/// The plan of one action on one saga. An action that would be refused has a plan too, which says so.
pub(super) async fn one(
    State(api): State<Api>,
    Path(id): Path<SagaId>,
    Json(action): Json<Action>,
) -> Result<Json<PlanView>, ApiError> {
    let stored = reads::stored(&api.shared, id).await?;
    let (catalog, now) = (&api.shared.catalog, api.shared.clock.now());
    let plan = plan::plan(catalog, &stored, &action, now);
    let plan = plan.map_err(|parked| ApiError::conflict(parked.code(), parked.to_string()))?;
    let asks = api.shared.settings.four_eyes && plan.refused.is_none();
    let approval = if asks { four_eyes::of_act(catalog, &stored, &action, now) } else { None };
    Ok(Json(PlanView { approval, ..plan }))
}

/// The plans of one action on several sagas. One that cannot be planned is named beside the others.
pub(super) async fn many(
    State(api): State<Api>,
    Json(PlansRequest { action, saga_ids }): Json<PlansRequest>,
) -> Result<Json<Plans>, ApiError> {
    if saga_ids.is_empty() || saga_ids.len() > PLANS_MAX {
        let detail = format!("{} sagas are named; 1 to {PLANS_MAX} are planned at a time", saga_ids.len());
        let error = FieldError { detail: detail.clone(), pointer: "#/saga_ids".to_owned() };
        return Err(ApiError::unprocessable("field_invalid", detail, vec![error]));
    }
    let (mut plans, mut unplanned) = (Vec::with_capacity(saga_ids.len()), Vec::new());
    for saga_id in saga_ids {
        match planned(&api, saga_id, &action).await? {
            Ok(plan) => plans.push(plan),
            Err(refused) => unplanned.push(Unplanned { saga_id, refused }),
        }
    }
    let summary = plan::totals(&plans);
    Ok(Json(Plans { plans, unplanned, summary }))
}

/// The plan of one saga among several, or why there is none. A row that cannot be read is one saga's; a journal that
/// does not answer ends the request.
async fn planned(api: &Api, id: SagaId, action: &Action) -> Result<Result<PlanView, Refusal>, ApiError> {
    let shared = &api.shared;
    let planned = match shared.journal.get(id).await {
        Ok(Some(stored)) => plan::plan(&shared.catalog, &stored, action, shared.clock.now()),
        Ok(None) => {
            let (code, message) = ("saga_unknown".to_owned(), format!("there is no saga {id}"));
            return Ok(Err(Refusal { code, message }));
        }
        Err(error @ (JournalError::BrokenRow { .. } | JournalError::Damaged { .. })) => Err(Parked::broken(&error)),
        Err(error) => return Err(problems::journal(&error)),
    };
    Ok(planned.map_err(|parked| Refusal { code: parked.code().to_owned(), message: parked.to_string() }))
}
