//! Where a listing goes on. A page token is opaque to clients, versioned, bound to the query that it came from, and only
//! a position: nothing in it is trusted beyond that.

use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use contract::PageToken;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::ApiError;

/// Raised when the fields change, so that old tokens are refused instead of misread.
const VERSION: u8 = 2;
/// The longest token that is looked at, in bytes: three times the longest that is ever written.
const TOKEN_BYTES_MAX: usize = 512;
/// The bytes of a query's digest in a token: enough that two queries of one person never share them.
const FINGERPRINT_BYTES: usize = 8;

/// A text that is no page token of the listing which was asked: broken, empty, made up, of another query or another
/// release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this page token is not one of this listing's: begin again without one")]
pub struct PageTokenError;

impl From<PageTokenError> for ApiError {
    fn from(error: PageTokenError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "page_token_invalid", "The request cannot be read").detail(error.to_string())
    }
}

/// Writes the token for the page after `position`, which is whatever the listing's order needs, such as a time and an id.
#[must_use]
pub fn write(query: &str, position: &impl Serialize) -> PageToken {
    // A position is made of numbers, texts and ids, which JSON holds; one that it does not would only read as no token.
    let text = serde_json::to_vec(&(VERSION, fingerprint(query), position)).unwrap_or_default();
    PageToken::from_text(URL_SAFE_NO_PAD.encode(text))
}

/// Reads a token back to its position. Anybody can write a token: the position is as good as any other text of a client.
///
/// # Errors
/// [`PageTokenError`], the same for every listing.
pub fn read<T: DeserializeOwned>(token: &PageToken, query: &str) -> Result<T, PageTokenError> {
    let text = Some(token.as_str()).filter(|text| text.len() <= TOKEN_BYTES_MAX);
    let bytes = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(PageTokenError)?;
    let (version, of_query, position): (u8, String, T) = serde_json::from_slice(&bytes).map_err(|_| PageTokenError)?;
    if version == VERSION && of_query == fingerprint(query) { Ok(position) } else { Err(PageTokenError) }
}

fn fingerprint(query: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(query.as_bytes())[..FINGERPRINT_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_for_its_own_query_only() {
        let position = ("EUR".to_owned(), 456);
        let token = write("LHR MLE", &position);
        assert_eq!(read(&token, "LHR MLE"), Ok(position));
        assert_eq!(read::<(String, i32)>(&token, "LHR JFK"), Err(PageTokenError));
        assert_eq!(read::<i32>(&token, "LHR MLE"), Err(PageTokenError), "another listing's position");
        assert!(!token.as_str().contains("LHR") && !token.as_str().contains("EUR"), "it can be read: {token:?}");
    }

    #[test]
    fn every_text_that_was_not_written_here_is_refused_in_the_same_words() {
        let token = write("q", &7);
        let longer = format!("{}A", token.as_str());
        for broken in ["", " ", "zz", "0", "é", "ord_0190", "\0", &"00".repeat(1000), &token.as_str()[2..], &longer] {
            let error = read::<i32>(&PageToken::from_text(broken.to_owned()), "q").unwrap_err();
            let error = ApiError::from(error);
            assert_eq!((error.status(), error.code()), (StatusCode::BAD_REQUEST, "page_token_invalid"), "{broken}");
        }
    }
}
