//! `GET /v1/orders` and `GET /v1/orders/{order_id}`: the order service's view, and, before it has one, the saga's.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use contract::{
    OrderId, Page, PageToken,
    limits::PAGE_SIZE_MAX,
    orchestrator_api::{SagaSummary, SagaView},
    order::{OrderView, PlaceOrder},
};
use kit::http::{ApiError, Json, Path, Query, page_token::PageTokenError};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{
    auth::Caller,
    door::Door,
    guard::Hop,
    public::{self, Order},
    upstream::{Call, UpstreamError},
};

/// How many bytes of the digest make an `ETag`: enough that two states of one order never share one.
const ETAG_BYTES: usize = 12;

/// The longest page token, in bytes: those that are handed out have some 100.
const PAGE_TOKEN_BYTES_MAX: usize = 512;

/// Which page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

/// `GET /v1/orders`.
pub(crate) async fn list(
    State(door): State<Door>,
    caller: Caller,
    hop: Hop,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<Order>>, ApiError> {
    let mut path = format!("/internal/order/orders?user_id={}", caller.user_id);
    // Zero is no size asked for, and too much is as much as there is (AIP-158).
    if let Some(size) = wanted.page_size {
        path.push_str(&format!("&page_size={}", size.min(PAGE_SIZE_MAX)));
    }
    if let Some(token) = wanted.page_token {
        // A token is opaque, but ours need no escaping: what does is not ours.
        let token = token.as_str();
        let ours = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~'));
        if !ours || token.len() > PAGE_TOKEN_BYTES_MAX {
            return Err(PageTokenError.into());
        }
        path.push_str(&format!("&page_token={token}"));
    }
    let answer = door.order.call(&hop, Call::get(path)).await?;
    match answer.status {
        StatusCode::OK => {
            let page: Page<OrderView> = answer.json()?;
            // The order service was asked for one person's; checked all the same, since this is where it would leak.
            let own = page.items.into_iter().filter(|order| order.user_id == caller.user_id);
            Ok(Json(Page { items: own.map(Order::from).collect(), next_page_token: page.next_page_token }))
        }
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Err(answer.problem()),
        _ => Err(answer.unexpected().into()),
    }
}

/// `GET /v1/orders/{order_id}`.
pub(crate) async fn show(
    State(door): State<Door>,
    caller: Caller,
    hop: Hop,
    headers: HeaderMap,
    Path(order_id): Path<OrderId>,
) -> Result<Response, ApiError> {
    let answer = door.order.call(&hop, Call::get(format!("/internal/order/orders/{order_id}"))).await?;
    let order = match answer.status {
        StatusCode::OK => {
            let view: OrderView = answer.json()?;
            // Somebody else's is told apart from none by nobody.
            (view.user_id == caller.user_id).then(|| Order::from(view))
        }
        StatusCode::NOT_FOUND => from_saga(&door, &hop, caller, order_id).await?,
        _ => return Err(answer.unexpected().into()),
    };
    let order = order.ok_or_else(|| ApiError::not_found("order_unknown", format!("there is no order {order_id}")))?;
    Ok(with_etag(&headers, &order))
}

/// The order as its saga knows it: it exists from the 202 on, which is before its first step.
async fn from_saga(door: &Door, hop: &Hop, caller: Caller, order_id: OrderId) -> Result<Option<Order>, UpstreamError> {
    let path = format!("/api/sagas?name=order&business_key={order_id}&page_size=1");
    let answer = door.orchestrator.call(hop, Call::get(path)).await?;
    if answer.status != StatusCode::OK {
        return Err(answer.unexpected());
    }
    let page: Page<SagaSummary> = answer.json()?;
    let owner = caller.user_id.to_string();
    let Some(found) = page.items.into_iter().find(|saga| saga.owner.as_ref() == Some(&owner)) else { return Ok(None) };
    let answer = door.orchestrator.call(hop, Call::get(format!("/api/sagas/{}", found.id))).await?;
    if answer.status != StatusCode::OK {
        return Err(answer.unexpected());
    }
    let saga: SagaView = answer.json()?;
    let placed: PlaceOrder = match serde_json::from_value(saga.input.clone()) {
        Ok(placed) => placed,
        Err(error) => {
            let why = format!("the input of {} is not an order: {error}", found.id);
            return Err(UpstreamError::Unusable { service: door.orchestrator.service(), why });
        }
    };
    let own = public::is_owned_by(&saga, caller.user_id) && placed.order_id == order_id;
    Ok(own.then(|| Order::from_saga(&saga, placed)))
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
