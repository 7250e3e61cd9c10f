//! Deviations from what should be, collected, so that one run of a long test tells everything that it found.

use std::path::Path;

use contract::problem::{CONTENT_TYPE, TYPE_BASE};
use reqwest::header;

use crate::client::Response;

/// Everything that was found to be wrong so far.
#[derive(Debug, Default)]
pub struct Findings(Vec<String>);

impl Findings {
    /// Notes `seen` when `right` does not hold.
    pub fn that(&mut self, what: &str, right: bool, seen: impl std::fmt::Debug) {
        if !right {
            self.0.push(format!("{what}: {seen:?}"));
        }
    }

    /// Notes an answer that is not exactly this problem (RFC 9457), with these places, and with a page in
    /// `docs/errors` that its `type` names.
    pub fn problem(&mut self, what: &str, answer: &Response, status: u16, code: &str, pointers: &[&str]) {
        let body = &answer.body;
        let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let places: Vec<&str> = body["errors"]
            .as_array()
            .map(|errors| errors.iter().filter_map(|error| error["pointer"].as_str()).collect())
            .unwrap_or_default();
        let said = |name: &str| body[name].as_str().is_some_and(|text| !text.is_empty());
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/errors/{code}.md"));
        for (what_of_it, right) in [
            ("the status", answer.status.as_u16() == status && body["status"] == status),
            ("the code", body["code"] == code),
            ("the places", places == pointers),
            ("the media type", kind == CONTENT_TYPE),
            ("the type", body["type"] == format!("{TYPE_BASE}{code}")),
            ("the title", said("title")),
            ("the reasons", body["errors"].as_array().is_none_or(|all| all.iter().all(|one| one["detail"] != ""))),
            ("the wait", status != 503 || answer.headers.contains_key(header::RETRY_AFTER)),
            ("the challenge", status != 401 || answer.headers.contains_key(header::WWW_AUTHENTICATE)),
            ("the page in docs/errors", page.is_file()),
        ] {
            let expected = format!("expected {status} {code} {pointers:?}");
            self.that(&format!("{what}, {what_of_it} ({expected})"), right, (answer.status, kind, body.to_string()));
        }
    }

    /// Ends the test: nothing may have been found.
    ///
    /// # Panics
    /// With everything that was found.
    pub fn end(self, logs: impl FnOnce() -> String) {
        assert!(self.0.is_empty(), "{} findings:\n{}\n{}", self.0.len(), self.0.join("\n"), logs());
    }
}
