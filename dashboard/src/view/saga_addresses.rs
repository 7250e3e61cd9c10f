//! The addresses of lists of sagas.

use super::columns::Columns;

/// The address of the list.
pub(crate) const LIST: &str = "/ops/sagas";

/// The address of the list for a query.
pub(crate) fn address(query: &str) -> String {
    address_with(query, &Columns::read([].into_iter()), None)
}

/// The address of the list for a query, with these columns, and of one of its pages.
pub(crate) fn address_with(query: &str, columns: &Columns, token: Option<&str>) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    if !query.is_empty() {
        pairs.append_pair("q", query);
    }
    pairs.extend_pairs(columns.words().map(|words| ("columns", words)));
    pairs.extend_pairs(token.map(|token| ("page", token)));
    let pairs = pairs.finish();
    if pairs.is_empty() { LIST.to_owned() } else { format!("{LIST}?{pairs}") }
}
