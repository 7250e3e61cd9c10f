//! The list of everything that the door answers. The router is built from it, and the README's table of routes is
//! printed from it.

mod accepted_offers;
pub(crate) mod account;
pub(crate) mod auth;
pub(crate) mod book_stay;
pub(crate) mod confirm_flight_hold;
pub(crate) mod dashboard;
pub(crate) mod device_approval;
pub(crate) mod device_logins;
pub(crate) mod flight_holds;
pub(crate) mod hold_flight;
pub(crate) mod keys;
pub(crate) mod list_orders;
pub(crate) mod logins;
mod next_action;
pub(crate) mod offers;
pub(crate) mod operation_events;
pub(crate) mod operations;
pub(crate) mod operators;
mod order_request;
pub(crate) mod orders;
mod passing;
pub(crate) mod pay_order;
pub(crate) mod payment_webhooks;
pub(crate) mod payments;
pub(crate) mod people;
pub(crate) mod place_order;
pub(crate) mod release_flight_hold;
pub(crate) mod sandbox_page;

use axum::Router;
use kit::http::Calls;

use crate::{app::App, endpoint::Endpoint};

/// All routes. `/health`, `/ready` and `/metrics` (for a caller that shows the internal token) come from the kit.
pub(crate) const ROUTES: [&Endpoint; 50] = [
    &auth::REGISTER,
    &auth::LOGIN,
    &auth::REFRESH,
    &logins::LOGOUT,
    &logins::LIST,
    &logins::END,
    &device_logins::ASK,
    &device_logins::TRADE,
    &account::CHANGE_PASSWORD,
    &account::RESET_PASSWORD,
    &account::BEGIN_SECOND_FACTOR,
    &account::CONFIRM_SECOND_FACTOR,
    &account::RENEW_RECOVERY_CODES,
    &account::REMOVE_SECOND_FACTOR,
    &keys::PUBLISHED,
    &offers::FLIGHTS,
    &offers::STAYS,
    &place_order::PLACE,
    &book_stay::BOOK,
    &list_orders::LIST,
    &orders::SHOW,
    &pay_order::PAY,
    &payments::SHOW,
    &hold_flight::HOLD,
    &flight_holds::SHOW,
    &confirm_flight_hold::CONFIRM,
    &release_flight_hold::RELEASE,
    &payment_webhooks::HEAR,
    &operations::SHOW,
    &operation_events::FOLLOW,
    &people::WHOAMI,
    &device_approval::FIND,
    &device_approval::APPROVE,
    &device_approval::DENY,
    &people::LIST,
    &people::SHOW,
    &people::CREATE,
    &people::SET_ROLE,
    &people::DISABLE,
    &people::ENABLE,
    &people::RESET,
    &people::CLEAR_SECOND_FACTOR,
    &operators::READ,
    &operators::ACT,
    &dashboard::HOME,
    &dashboard::LOGIN,
    &dashboard::DEVICE,
    &dashboard::RESET,
    &dashboard::PAGES,
    &sandbox_page::PAGE,
];

/// Every route as axum serves it. Each call runs to its end on one of the places of `calls`.
pub(crate) fn router(app: &App, calls: &Calls) -> Router {
    let router = ROUTES.iter().fold(Router::new(), |router, endpoint| endpoint.serve(router, app, calls));
    router.with_state(app.clone())
}

/// The list as the README's table.
#[must_use]
pub fn route_table() -> String {
    let mut text = String::from("\n| call | for | what it does | answered by |\n|---|---|---|---|\n");
    for route in ROUTES {
        let path = route.path.replace("{*path}", "...");
        let (verb, access, part) = (route.verb.as_str(), route.access.as_str(), route.part.as_str());
        text.push_str(&format!("| `{verb} {path}` | {access} | {} | {part} |\n", route.about));
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{access::Access, endpoint::Limit};

    #[test]
    fn only_logins_searches_keys_and_signed_webhooks_are_public() {
        let public: Vec<_> =
            ROUTES.iter().filter(|route| route.access == Access::Public).map(|route| route.limit).collect();
        assert!(public.iter().all(|limit| matches!(limit, Limit::Login | Limit::Read | Limit::Light)), "{public:?}");
    }
}
