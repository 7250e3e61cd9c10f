//! The pages, a file each: what is asked of the door, and how it is laid out for its template.

pub(crate) mod account;
pub(crate) mod acts;
pub(crate) mod approvals;
pub(crate) mod attention;
pub(crate) mod audit;
mod children;
pub(crate) mod definitions;
pub(crate) mod device;
pub(crate) mod domains;
pub(crate) mod errors;
pub(crate) mod jobs;
pub(crate) mod left_alone;
pub(crate) mod login;
pub(crate) mod logins;
mod looking;
pub(crate) mod migration;
pub(crate) mod mistakes;
pub(crate) mod new_job;
mod open_counts;
pub(crate) mod overview;
pub(crate) mod people;
pub(crate) mod processes;
pub(crate) mod reset;
pub(crate) mod reveal;
pub(crate) mod saga;
pub(crate) mod saga_count;
mod saga_table;
pub(crate) mod sagas;
pub(crate) mod saved_views;
mod streams;
pub(crate) mod theme;

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};

use crate::failure::Failure;

/// A template as an answer.
pub(crate) fn page(template: &impl Template) -> Result<Response, Failure> {
    Ok(Html(template.render()?).into_response())
}

/// The lines of a page of a listing: two screens, which one look takes in.
const PAGE_SIZE: u32 = 50;

/// The parameters of a page of a listing.
fn paged(token: &Option<String>) -> Vec<(&'static str, String)> {
    let mut parameters = vec![("page_size", PAGE_SIZE.to_string())];
    parameters.extend(token.iter().map(|token| ("page_token", token.clone())));
    parameters
}

/// The address of the next page.
fn next(address: &str, token: &str) -> String {
    let pair = form_urlencoded::Serializer::new(String::new()).append_pair("page", token).finish();
    format!("{address}{}{pair}", if address.contains('?') { '&' } else { '?' })
}

/// The address of a page of a listing, the first one without a token.
fn at(address: &str, token: Option<&str>) -> String {
    token.map_or_else(|| address.to_owned(), |token| next(address, token))
}

/// An id or word as it may stand in an address.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect()
}

/// The path of a saga in the operators' interface. What is no id finds nothing there.
fn path(id: &str, below: &str) -> String {
    format!("/sagas/{}{below}", plain(id))
}
