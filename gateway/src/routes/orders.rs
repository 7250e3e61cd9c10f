//! `GET /v1/orders/{order_id}`: the order service's view, and, while it has none, the saga's.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::on,
};
use contract::{
    OrderId, Page, Route, SagaId,
    orchestrator_api::{SagaSummary, SagaView},
    order::{OrderView, PlaceOrder},
};
use kit::http::{ApiError, Path};
use sha2::{Digest as _, Sha256};

use super::next_action::next_action;
use crate::{
    access::{Access, Caller},
    app::App,
    endpoint::{Endpoint, Limit, NO_BODY_BYTES_MAX, Verb},
    hop::Hop,
    upstream::{Call, Part, UpstreamError},
    views::{self, Order},
};

pub(crate) const SHOW: Endpoint = Endpoint {
    verb: Verb::Get,
    path: "/v1/orders/{order_id}",
    access: Access::Client,
    limit: Limit::Read,
    body_bytes_max: NO_BODY_BYTES_MAX,
    part: Part::Domain(Route::Order),
    about: "shows one of one's own orders",
    handler: |methods| on(methods, show),
};

/// How many bytes of the digest make an `ETag`: enough that two states of one order never share one.
const ETAG_BYTES: usize = 12;

async fn show(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    headers: HeaderMap,
    Path(order_id): Path<OrderId>,
) -> Result<Response, ApiError> {
    let mut order = own_order(&app, &hop, caller, order_id).await?;
    if order.is_open() {
        order.set_next_action(next_action(&app, &hop, order_id).await);
    }
    Ok(with_etag(&headers, &order))
}

/// The order, when it is this person's.
pub(super) async fn own_order(app: &App, hop: &Hop, caller: Caller, order_id: OrderId) -> Result<Order, ApiError> {
    let call = Call::get(format!("/internal/order/orders/{order_id}"));
    let response = app.domain(Route::Order).call(hop, call).await?;
    let order = match response.status {
        StatusCode::OK => {
            let view: OrderView = response.json()?;
            // A foreign order is answered as one that does not exist.
            (view.user_id == caller.user_id).then(|| Order::from(view))
        }
        StatusCode::NOT_FOUND => from_saga(app, hop, caller, order_id).await?,
        _ => return Err(response.unexpected().into()),
    };
    order.ok_or_else(|| ApiError::not_found("order_unknown", format!("there is no order {order_id}")))
}

/// The order as its saga knows it: it exists from the 202 on, which is before its first step.
async fn from_saga(app: &App, hop: &Hop, caller: Caller, order_id: OrderId) -> Result<Option<Order>, UpstreamError> {
    let path = format!("/api/sagas?business_key={order_id}&page_size=1");
    let response = app.orchestrator.call(hop, Call::get(path)).await?;
    if response.status != StatusCode::OK {
        return Err(response.unexpected());
    }
    let page: Page<SagaSummary> = response.json()?;
    let owner = caller.user_id.to_string();
    let found = page.items.into_iter().find(|saga| saga.owner.as_ref() == Some(&owner));
    match found {
        Some(found) => of_saga(app, hop, caller, order_id, found.id).await,
        None => Ok(None),
    }
}

/// The order of this saga, when both are the caller's.
pub(super) async fn of_saga(
    app: &App,
    hop: &Hop,
    caller: Caller,
    order_id: OrderId,
    saga: SagaId,
) -> Result<Option<Order>, UpstreamError> {
    let response = app.orchestrator.call(hop, Call::get(format!("/api/sagas/{saga}"))).await?;
    if response.status != StatusCode::OK {
        return Err(response.unexpected());
    }
    let view: SagaView = response.json()?;
    let placed: PlaceOrder = match serde_json::from_value(view.input.clone()) {
        Ok(placed) => placed,
        Err(error) => {
            let why = format!("the input of {saga} is not an order: {error}");
            return Err(UpstreamError::Unusable { service: app.orchestrator.service(), why });
        }
    };
    let own = views::is_owned_by(&view, caller.user_id) && placed.order_id == order_id;
    Ok(own.then(|| Order::from_saga(&view, placed)))
}

fn with_etag(headers: &HeaderMap, order: &Order) -> Response {
    let Ok(body) = serde_json::to_vec(order) else { return ApiError::internal().into_response() };
    let digest = Sha256::digest(&body);
    let tag: String = digest.iter().take(ETAG_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let unchanged = known.flat_map(|list| list.split(',')).any(|one| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
    });
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    };
    if let Ok(value) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    // To be kept by the client, but asked about each time.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}
