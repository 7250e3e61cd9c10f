//! The HTTP interface of [`contract::orchestrator_api`]: every address in one table, every error a problem.

mod actions;
mod approvals;
mod audit;
mod audited;
mod commands;
mod counts;
mod dead_letters;
mod decisions;
mod definitions;
mod differences;
mod error_groups;
mod events;
mod explanation;
mod exports;
mod job_events;
mod jobs;
mod lists;
mod live;
mod masked;
mod migrations;
mod operator;
mod pauses;
mod plans;
mod problems;
mod processes;
mod quarantine;
mod reads;
mod signals;
mod snapshots;
mod starts;
mod throughput;
mod timeline;
mod tree;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};
use kit::http::Calls;
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

/// The parts that handlers share.
#[derive(Clone)]
struct Api {
    shared: Arc<Shared>,
    /// Streams end with it; everything else is short.
    stop: CancellationToken,
}

/// The routes that no operator reaches through the gateway.
fn gateways_own(api: Api) -> Router {
    Router::new().route("/internal/audit", post(audited::write)).with_state(api)
}

/// The whole interface, guarded by the installation's token but for health, liveness, readiness and metrics.
pub(crate) fn router(shared: &Arc<Shared>, calls: &Calls, stop: &CancellationToken) -> Router {
    let api = Api { shared: Arc::clone(shared), stop: stop.clone() };
    let routes = Router::new()
        .route("/api/definitions", get(definitions::list))
        .route("/api/starts", get(starts::find))
        .route("/api/sagas", post(starts::start).get(lists::list))
        .route("/api/counts", get(counts::show))
        .route("/api/throughput", get(throughput::show))
        .route("/api/processes", get(processes::show))
        .route("/api/sagas/{id}", get(reads::show))
        .route("/api/sagas/{id}/tree", get(tree::show))
        .route("/api/sagas/{id}/steps/{step}/command", get(commands::show))
        .route("/api/sagas/{id}/snapshot", get(snapshots::show))
        .route("/api/sagas/{id}/timeline", get(timeline::show))
        .route("/api/sagas/{id}/explanation", get(explanation::show))
        .route("/api/sagas/{id}/export", get(exports::one))
        .route("/api/exports", get(exports::list))
        .route("/api/sagas/{id}/reveal", post(reads::reveal))
        .route("/api/sagas/{id}/journal", get(reads::journal))
        .route("/api/sagas/{id}/difference", get(differences::show))
        .route("/api/sagas/{id}/events", get(events::stream))
        .route("/api/sagas/{id}/actions", post(actions::act))
        .route("/api/sagas/{id}/plan", post(plans::one))
        .route("/api/plans", post(plans::many))
        .route("/api/migrations", get(migrations::list))
        .route("/api/errors", get(error_groups::list))
        .route("/api/jobs", post(jobs::create).get(jobs::list))
        .route("/api/jobs/preview", post(jobs::preview))
        .route("/api/jobs/{id}", get(jobs::show))
        .route("/api/jobs/{id}/items", get(jobs::items))
        .route("/api/jobs/{id}/events", get(job_events::stream))
        .route("/api/jobs/{id}/pause", post(jobs::pause))
        .route("/api/jobs/{id}/resume", post(jobs::resume))
        .route("/api/jobs/{id}/abort", post(jobs::abort))
        .route("/api/jobs/{id}/rerun", post(jobs::rerun))
        .route("/api/pauses", get(pauses::list).post(pauses::begin))
        .route("/api/pauses/{scope}/end", post(pauses::end))
        .route("/api/sagas/{id}/signals/{name}", post(signals::signal))
        .route("/api/quarantine", get(quarantine::list))
        .route("/api/quarantine/{id}/release", post(quarantine::release))
        .route("/api/dead-letters", get(dead_letters::list))
        .route("/api/dead-letters/{id}/redrive", post(dead_letters::redrive))
        .route("/api/approvals", get(approvals::list))
        .route("/api/approvals/{id}", get(decisions::show))
        .route("/api/approvals/{id}/approve", post(decisions::approve))
        .route("/api/approvals/{id}/reject", post(decisions::reject))
        .route("/api/audit", get(audit::list))
        .route("/api/audit/verification", get(audit::verify))
        .layer(middleware::from_fn_with_state(api.clone(), audited::write_down))
        .layer(middleware::from_fn(masked::mask))
        .layer(middleware::from_fn_with_state(calls.clone(), kit::http::run_to_end))
        .with_state(api);
    let routes = routes.merge(gateways_own(Api { shared: Arc::clone(shared), stop: stop.clone() }));
    let watchdog = Arc::clone(&shared.watchdog);
    let live = Router::new().route("/live", get(move || std::future::ready(live::show(&watchdog))));
    let guarded = kit::http::require_internal_token(routes, &shared.settings.internal_token);
    kit::http::base(guarded.merge(live), &kit::metrics::install(), shared.readiness.clone())
}
