//! The table of a list of sagas: the heads of its columns, and a row for each saga.

use askama::Template;
use chrono::{DateTime, Utc};
use contract::orchestrator_api::{SagaOrder, SagaQuery, SagaSummary};

use crate::view::{
    columns::{Column, Columns},
    rows::{self, SagaRow},
    saga_addresses::address_with,
};

/// A column's head: its word, and where the list can be ordered by it, the address that does so.
struct Head {
    title: &'static str,
    sorted: Option<&'static str>,
    order: Option<String>,
}

/// A line of the table.
pub(super) struct Row {
    saga: SagaRow,
    /// Why the saga is not of this list any more.
    gone: Option<String>,
}

/// The bar behind which new sagas wait.
pub(super) struct Newer {
    pub(super) words: String,
    pub(super) address: String,
}

#[derive(Template)]
#[template(path = "saga_table.html")]
pub(super) struct Table {
    rows: Vec<Row>,
    columns: Columns,
    heads: Vec<Head>,
    may_act: bool,
    newer: Option<Newer>,
}

impl Row {
    pub(super) fn new(saga: &SagaSummary, gone: Option<String>, now: DateTime<Utc>) -> Self {
        Self { saga: rows::saga(saga, now), gone }
    }
}

impl Table {
    pub(super) fn new(
        rows: Vec<Row>,
        query: &SagaQuery,
        columns: Columns,
        may_act: bool,
        newer: Option<Newer>,
    ) -> Self {
        let heads = columns.all().iter().map(|column| head(*column, query, &columns)).collect();
        Self { rows, columns, heads, may_act, newer }
    }
}

/// The head of a column. Starts are in the order of the ids; what ended last and what lapses first are orders of their own.
fn head(column: Column, query: &SagaQuery, columns: &Columns) -> Head {
    let (sorted, order) = match (column, query.order) {
        (Column::Started, SagaOrder::Newest) => (Some("descending"), Some("oldest")),
        (Column::Started, SagaOrder::Oldest) => (Some("ascending"), Some("newest")),
        (Column::Started, SagaOrder::Ended | SagaOrder::HoldsUntil) => (None, Some("newest")),
        (Column::Ended, SagaOrder::Ended) => (Some("descending"), Some("newest")),
        (Column::Ended, _) => (None, Some("ended")),
        (Column::Holds, SagaOrder::HoldsUntil) => (Some("ascending"), Some("newest")),
        (Column::Holds, _) => (None, Some("holds")),
        (Column::Key | Column::Error | Column::Client | Column::Attributes | Column::Changed, _) => (None, None),
    };
    let by = |word: &str| {
        let others = query.terms.iter().map(String::as_str).filter(|term| !term.starts_with("sort:"));
        let order = (word != "newest").then(|| format!("sort:{word}"));
        let terms: Vec<&str> = others.chain(order.as_deref()).collect();
        address_with(&terms.join(" "), columns, None)
    };
    Head { title: column.title(), sorted, order: order.map(by) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_ordered_by_the_columns_that_an_index_backs() {
        let query = SagaQuery::read("status:running sort:oldest", DateTime::UNIX_EPOCH).unwrap();
        let columns = Columns::read(["key,started,holds"].into_iter());
        let heads: Vec<_> = columns.all().iter().map(|column| head(*column, &query, &columns)).collect();
        let told: Vec<_> = heads.iter().map(|head| (head.sorted, head.order.as_deref())).collect();
        let expected = [
            (None, None),
            (Some("ascending"), Some("/ops/sagas?q=status%3Arunning&columns=key%2Cstarted%2Cholds")),
            (None, Some("/ops/sagas?q=status%3Arunning+sort%3Aholds&columns=key%2Cstarted%2Cholds")),
        ];
        assert_eq!(told, expected);
    }
}
