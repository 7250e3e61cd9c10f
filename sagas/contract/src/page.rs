//! Pages of listings: one shape for all of them.

use serde::{Deserialize, Serialize};

use crate::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};

/// A page of a listing. A null `next_page_token` is the only sign of the end (AIP-158).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The lines, in the listing's order.
    pub items: Vec<T>,
    /// Asks for the page after this one.
    pub next_page_token: Option<PageToken>,
}

impl<T> Page<T> {
    /// The first `size` of what was found, where one more than `size` was looked for: a longer find is how a listing
    /// knows that it goes on, and `token` then tells from the page's last item where.
    #[must_use]
    pub fn cut(mut found: Vec<T>, size: usize, token: impl FnOnce(&T) -> PageToken) -> Self {
        let more = found.len() > size;
        found.truncate(size);
        let next_page_token = found.last().filter(|_| more).map(token);
        Self { items: found, next_page_token }
    }

    /// The whole listing on one page.
    #[must_use]
    pub const fn only(items: Vec<T>) -> Self {
        Self { items, next_page_token: None }
    }

    /// The same page of other items.
    #[must_use]
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next_page_token: self.next_page_token }
    }
}

/// The items of a page, for a client that asked for `asked` (AIP-158): none and zero mean the usual size, and more than
/// the largest means the largest.
#[must_use]
pub fn page_size(asked: Option<u32>) -> u32 {
    asked.filter(|size| *size > 0).unwrap_or(PAGE_SIZE_DEFAULT).min(PAGE_SIZE_MAX)
}

/// Where a listing goes on. Opaque: only the listing that wrote it can read it (`kit::http::page_token`), and that
/// refuses any text which it did not write, the empty one included. All others hand it on as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageToken(String);

impl PageToken {
    /// A token from the text that its listing wrote.
    #[must_use]
    pub const fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The text as it travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_followed_by_another_one_exactly_when_more_was_found_than_it_shows() {
        let page = |found: usize| Page::cut((1..=found).collect(), 3, |last| PageToken::from_text(last.to_string()));
        for found in 0..=3 {
            assert_eq!(page(found), Page::only((1..=found).collect()));
        }
        assert_eq!(page(4), Page { items: vec![1, 2, 3], next_page_token: Some(PageToken::from_text("3".to_owned())) });
    }

    #[test]
    fn a_page_has_the_asked_size_within_its_bounds() {
        for (asked, size) in [(None, PAGE_SIZE_DEFAULT), (Some(0), PAGE_SIZE_DEFAULT), (Some(7), 7)] {
            assert_eq!(page_size(asked), size);
        }
        assert_eq!(page_size(Some(u32::MAX)), PAGE_SIZE_MAX);
    }
}
