//! `GET /v1/orders`: the caller's orders, newest first. An order exists from its 202 on, which is before the order service
//! hears of it, and some never reach it: so the service's orders and the caller's sagas are merged.
//!
//! ```text
//!  orders of the order service  --+   by id, newest first; an order that both have is the service's
//!  the caller's sagas of orders --+-> page, and where both lists go on
//! ```
//!
//! An order's id is made at the door and its saga's at an orchestrator, so the clocks of two machines order them. Where
//! they differ an order may stand a place too low; none is left out, and none is shown twice.

use std::collections::VecDeque;

use axum::{extract::State, http::StatusCode, routing::on};
use contract::{
    OrderId, Page, PageToken, Route, SagaId, limits::PAGE_SIZE_MAX, orchestrator_api::SagaSummary, order::OrderView,
    page::page_size,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kit::http::{ApiError, Json, Query, page_token};
use serde::{Deserialize, Serialize};

use super::orders::of_saga;
use crate::{
    access::{Access, Caller},
    app::App,
    endpoint::{Endpoint, Limit, NO_BODY_BYTES_MAX, Verb},
    hop::Hop,
    upstream::{Call, Part, UpstreamError},
    views::Order,
};

pub(crate) const LIST: Endpoint = Endpoint {
    verb: Verb::Get,
    path: "/v1/orders",
    access: Access::Client,
    limit: Limit::Read,
    body_bytes_max: NO_BODY_BYTES_MAX,
    part: Part::Domain(Route::Order),
    about: "lists one's own orders",
    handler: |methods| on(methods, list),
};

/// The sagas of one page that are read at a time.
const READS_AT_ONCE: usize = 8;

/// The query of a listing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

/// Where the page before ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Position {
    /// The lowest order that was shown: the service's orders from there on were not.
    order: Option<OrderId>,
    /// The last saga that was looked at.
    saga: Option<SagaId>,
}

/// An order of the page.
#[derive(Debug, PartialEq, Eq)]
enum Listed<O> {
    /// The order service has it.
    Stored(O),
    /// Its saga has it. `passed` when it would have stood on an earlier page: there the order service may have had it.
    Unstored { order: OrderId, saga: SagaId, passed: bool },
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<Order>>, ApiError> {
    let listing = format!("orders of {}", caller.user_id);
    let begin = wanted.page_token.map(|token| page_token::read::<Position>(&token, &listing)).transpose()?;
    let begin = begin.unwrap_or_default();
    let size = page_size(wanted.page_size);
    let mut merge = Merge::new(size as usize, begin, stored(&app, &hop, caller, begin.order, size).await?);
    while let Some(before) = merge.wants_sagas() {
        let (sagas, more) = sagas(&app, &hop, caller, before, size).await?;
        merge.add_sagas(sagas, more);
    }
    let next = merge.next.then(|| page_token::write(&listing, &merge.position));
    let read = |listed| read(&app, &hop, caller, listed);
    let orders: Vec<Option<Order>> = stream::iter(merge.page).map(read).buffered(READS_AT_ONCE).try_collect().await?;
    Ok(Json(Page { items: orders.into_iter().flatten().collect(), next_page_token: next }))
}

/// The order service's orders below that one, and one more than a page has if there are so many.
async fn stored(
    app: &App,
    hop: &Hop,
    caller: Caller,
    before: Option<OrderId>,
    size: u32,
) -> Result<Vec<OrderView>, UpstreamError> {
    let query = [("user_id", caller.user_id.to_string()), ("limit", (size + 1).to_string())];
    let query = query.into_iter().chain(before.map(|order| ("before", order.to_string())));
    let response = app.domain(Route::Order).call(hop, Call::get_with("/internal/order/orders", query)).await?;
    if response.status != StatusCode::OK {
        return Err(response.unexpected());
    }
    let orders: Vec<OrderView> = response.json()?;
    // The order service was asked for one person's; checked all the same, since this is where it would leak.
    Ok(orders.into_iter().filter(|order| order.user_id == caller.user_id).collect())
}

/// The caller's sagas before that one, each with its order, and whether there are more.
async fn sagas(
    app: &App,
    hop: &Hop,
    caller: Caller,
    before: Option<SagaId>,
    size: u32,
) -> Result<(Vec<(SagaId, Option<OrderId>)>, bool), UpstreamError> {
    let query = [("owner", caller.user_id.to_string()), ("page_size", (size + 1).min(PAGE_SIZE_MAX).to_string())];
    let query = query.into_iter().chain(before.map(|saga| ("before", saga.to_string())));
    let response = app.orchestrator.call(hop, Call::get_with("/api/sagas", query)).await?;
    if response.status != StatusCode::OK {
        return Err(response.unexpected());
    }
    let page: Page<SagaSummary> = response.json()?;
    let order = |saga: SagaSummary| (saga.id, saga.business_key.parse().ok());
    Ok((page.items.into_iter().map(order).collect(), page.next_page_token.is_some()))
}

/// An order as the client sees it; none when it is on an earlier page already.
async fn read(app: &App, hop: &Hop, caller: Caller, listed: Listed<OrderView>) -> Result<Option<Order>, UpstreamError> {
    let (order, saga) = match listed {
        Listed::Stored(order) => return Ok(Some(Order::from(order))),
        Listed::Unstored { order, saga, passed: false } => (order, saga),
        Listed::Unstored { order, saga, passed: true } => {
            let call = Call::get(format!("/internal/order/orders/{order}"));
            if app.domain(Route::Order).call(hop, call).await?.status == StatusCode::OK {
                return Ok(None);
            }
            (order, saga)
        }
    };
    of_saga(app, hop, caller, order, saga).await
}

/// Two listings, merged into one page.
struct Merge<O> {
    size: usize,
    begin: Position,
    orders: VecDeque<O>,
    sagas: VecDeque<(SagaId, Option<OrderId>)>,
    more_sagas: bool,
    last_saga_known: Option<SagaId>,
    page: Vec<Listed<O>>,
    /// Where the page ends.
    position: Position,
    /// Whether anything follows it.
    next: bool,
}

/// The part of an order that the merge needs.
trait HasId {
    fn order_id(&self) -> OrderId;
}

impl HasId for OrderView {
    fn order_id(&self) -> OrderId {
        self.order_id
    }
}

impl<O: HasId> Merge<O> {
    /// At most `size + 1` orders are given: the one too many tells that there are more.
    fn new(size: usize, begin: Position, orders: Vec<O>) -> Self {
        Self {
            size,
            begin,
            orders: orders.into(),
            sagas: VecDeque::new(),
            more_sagas: true,
            last_saga_known: begin.saga,
            page: Vec::new(),
            position: begin,
            next: false,
        }
    }

    /// Merges as far as it can. When it needs more sagas, the one before which they are.
    #[expect(clippy::option_option, reason = "the first sagas are before none")]
    fn wants_sagas(&mut self) -> Option<Option<SagaId>> {
        while self.page.len() < self.size {
            if self.sagas.is_empty() && self.more_sagas {
                return Some(self.last_saga_known);
            }
            if !self.step() {
                return None;
            }
        }
        self.next = !self.orders.is_empty() || !self.sagas.is_empty() || self.more_sagas;
        None
    }

    fn add_sagas(&mut self, sagas: Vec<(SagaId, Option<OrderId>)>, more: bool) {
        self.more_sagas = more && !sagas.is_empty();
        if let Some((last, _)) = sagas.last() {
            self.last_saga_known = Some(*last);
        }
        self.sagas.extend(sagas);
    }

    /// Takes the newer of the two heads; false when there is none.
    fn step(&mut self) -> bool {
        let stored = self.orders.front().map(HasId::order_id);
        let saga = self.sagas.front().copied();
        match (stored, saga) {
            (None, None) => return false,
            // Another program's saga of that name, which is no order of ours.
            (_, Some((saga, None))) => self.pass(saga),
            (Some(stored), Some((saga, Some(order)))) if order == stored => {
                self.pass(saga);
                self.show_stored(stored);
            }
            (stored, Some((saga, Some(order)))) if stored.is_none_or(|stored| order > stored) => {
                self.pass(saga);
                let shown = |listed: &Listed<O>| matches!(listed, Listed::Stored(one) if one.order_id() == order);
                if !self.page.iter().any(shown) {
                    let passed = self.begin.order.is_some_and(|begin| order >= begin);
                    self.show(order, Listed::Unstored { order, saga, passed });
                }
            }
            (Some(stored), _) => self.show_stored(stored),
            (None, Some(_)) => return false,
        }
        true
    }

    fn show_stored(&mut self, id: OrderId) {
        if let Some(order) = self.orders.pop_front() {
            self.show(id, Listed::Stored(order));
        }
    }

    fn show(&mut self, id: OrderId, listed: Listed<O>) {
        self.position.order = Some(self.position.order.map_or(id, |lowest| lowest.min(id)));
        self.page.push(listed);
    }

    fn pass(&mut self, saga: SagaId) {
        self.sagas.pop_front();
        self.position.saga = Some(saga);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    impl HasId for OrderId {
        fn order_id(&self) -> OrderId {
            *self
        }
    }

    fn order(number: u16) -> OrderId {
        OrderId::from_uuid(Uuid::from_u128(number.into()))
    }

    fn saga(number: u16) -> SagaId {
        SagaId::from_uuid(Uuid::from_u128(number.into()))
    }

    /// All pages of the listing: what each shows, in order.
    fn pages(stored: &BTreeSet<OrderId>, sagas: &BTreeMap<SagaId, OrderId>, size: usize) -> Vec<Vec<OrderId>> {
        let (mut pages, mut position) = (Vec::new(), Position::default());
        loop {
            let below = stored.iter().rev().filter(|id| position.order.is_none_or(|before| **id < before));
            let mut merge = Merge::new(size, position, below.take(size + 1).copied().collect());
            while let Some(before) = merge.wants_sagas() {
                let older = sagas.iter().rev().filter(|(id, _)| before.is_none_or(|before| **id < before));
                let found: Vec<_> = older.take(size + 1).map(|(id, order)| (*id, Some(*order))).collect();
                let more = found.len() > size;
                merge.add_sagas(found, more);
            }
            let show = |listed: &Listed<OrderId>| match listed {
                Listed::Stored(order) => Some(*order),
                Listed::Unstored { order, passed, .. } => (!passed || !stored.contains(order)).then_some(*order),
            };
            pages.push(merge.page.iter().filter_map(show).collect());
            if !merge.next {
                return pages;
            }
            position = merge.position;
        }
    }

    #[test]
    fn an_order_that_only_its_saga_knows_stands_at_its_place() {
        let stored = [5, 3, 1].map(order).into();
        let sagas = [(5, 5), (4, 4), (3, 3), (2, 2)].map(|(id, number)| (saga(id), order(number))).into();
        assert_eq!(pages(&stored, &sagas, 50), [vec![order(5), order(4), order(3), order(2), order(1)]]);
        assert_eq!(pages(&stored, &sagas, 2), [vec![order(5), order(4)], vec![order(3), order(2)], vec![order(1)]]);
        assert_eq!(pages(&BTreeSet::new(), &sagas, 50)[0].len(), 4);
        assert_eq!(pages(&stored, &BTreeMap::new(), 50)[0].len(), 3);
        assert_eq!(pages(&BTreeSet::new(), &BTreeMap::new(), 50), [Vec::<OrderId>::new()]);
    }

    proptest! {
        /// The clocks that made the ids may differ.
        #[test]
        fn every_order_is_on_exactly_one_page(
            known in prop::collection::btree_map(100_u16..200, (-40_i16..40, 0..3_u8), 0..60),
            size in 1_usize..7,
        ) {
            let (mut stored, mut sagas, mut all) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
            for (number, (skew, who)) in known {
                let id = saga(number.saturating_add_signed(skew));
                let told = who > 0 && !sagas.contains_key(&id);
                if told {
                    sagas.insert(id, order(number));
                }
                if who < 2 {
                    stored.insert(order(number));
                }
                if told || who < 2 {
                    all.insert(order(number));
                }
            }
            let shown: Vec<OrderId> = pages(&stored, &sagas, size).concat();
            let once: BTreeSet<_> = shown.iter().copied().collect();
            prop_assert_eq!(shown.len(), once.len(), "shown twice: {:?}", shown);
            prop_assert_eq!(once, all);
        }
    }
}
