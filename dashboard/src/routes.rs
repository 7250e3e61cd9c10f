//! Every address of the pages, in one table.

use axum::{
    Router, middleware,
    routing::{get, post},
};

use crate::{app::App, assets, guard, pages};

/// All pages behind the guard.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/ops", get(pages::overview::show))
        .route("/ops/login", get(pages::login::form))
        .route("/ops/session", post(pages::login::begin))
        .route("/ops/logout", post(pages::login::end))
        .route("/ops/device", get(pages::device::show).post(pages::device::decide))
        .route("/ops/logins", get(pages::logins::list))
        .route("/ops/logins/{id}/end", post(pages::logins::end))
        .route("/ops/reset", get(pages::reset::form).post(pages::reset::set))
        .route("/ops/account", get(pages::account::show))
        .route("/ops/account/password", get(pages::account::back).post(pages::account::change_password))
        .route("/ops/account/second-factor", get(pages::account::back).post(pages::account::begin_second_factor))
        .route(
            "/ops/account/second-factor/confirm",
            get(pages::account::back).post(pages::account::confirm_second_factor),
        )
        .route(
            "/ops/account/second-factor/recovery-codes",
            get(pages::account::back).post(pages::account::renew_recovery_codes),
        )
        .route(
            "/ops/account/second-factor/remove",
            get(pages::account::back).post(pages::account::remove_second_factor),
        )
        .route("/ops/theme", post(pages::theme::switch))
        .route("/ops/live", get(pages::overview::live))
        .route("/ops/sagas", get(pages::sagas::list))
        .route("/ops/sagas/newer", get(pages::sagas::newer))
        .route("/ops/sagas/count", get(pages::saga_count::of_list))
        .route("/ops/views", post(pages::saved_views::save))
        .route("/ops/sagas/{id}", get(pages::saga::show))
        .route("/ops/sagas/{id}/live", get(pages::saga::live))
        .route("/ops/sagas/{id}/acts/{act}", get(pages::acts::ask).post(pages::acts::act))
        .route("/ops/sagas/{id}/reveal", post(pages::reveal::reveal))
        .route("/ops/attention", get(pages::attention::show))
        .route("/ops/attention/live", get(pages::attention::live))
        .route("/ops/attention/count", get(pages::saga_count::of_attention))
        .route("/ops/errors", get(pages::errors::list))
        .route("/ops/jobs", get(pages::jobs::list).post(pages::new_job::create))
        .route("/ops/jobs/new", get(pages::new_job::ask))
        .route("/ops/jobs/{id}", get(pages::jobs::show))
        .route("/ops/jobs/{id}/live", get(pages::jobs::live))
        .route("/ops/jobs/{id}/{act}", post(pages::jobs::act))
        .route("/ops/definitions", get(pages::definitions::list))
        .route("/ops/definitions/{name}/{version}/migration", get(pages::migration::show))
        .route("/ops/domains", get(pages::domains::list).post(pages::domains::begin))
        .route("/ops/domains/{scope}/end", post(pages::domains::end))
        .route("/ops/dead-letters", get(pages::left_alone::letters))
        .route("/ops/dead-letters/{id}/redrive", post(pages::left_alone::redrive))
        .route("/ops/quarantine", get(pages::left_alone::quarantine))
        .route("/ops/approvals", get(pages::approvals::list))
        .route("/ops/approvals/count", get(pages::approvals::count))
        .route("/ops/approvals/{id}/{act}", post(pages::approvals::decide))
        .route("/ops/processes", get(pages::processes::show))
        .route("/ops/audit", get(pages::audit::list))
        .route("/ops/people", get(pages::people::list).post(pages::people::create))
        .route("/ops/people/{id}/{act}", post(pages::people::act))
        .method_not_allowed_fallback(pages::mistakes::back)
        .layer(middleware::from_fn(guard::guard))
        .route("/ops/assets/{digest}/{name}", get(assets::serve))
        .with_state(app)
}
