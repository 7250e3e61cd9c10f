//! Where a listing goes on. Opaque to clients, bound to the query that it came from, and only a position: nothing
//! in it is trusted beyond that.

use sha2::{Digest, Sha256};

/// Raised when the fields change, so that old tokens are refused instead of misread.
const VERSION: &str = "1";
/// The longest token that is looked at, in bytes: three times what is ever written.
const TOKEN_BYTES_MAX: usize = 512;

/// Writes the token for the page after `position`.
pub fn write(query: &str, position: &[String]) -> String {
    let text = format!("{VERSION}|{}|{}", fingerprint(query), position.join("|"));
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a token back; `None` when it is broken, or of another query.
pub fn read(token: &str, query: &str) -> Option<Vec<String>> {
    if token.len() > TOKEN_BYTES_MAX || !token.len().is_multiple_of(2) || !token.is_ascii() {
        return None;
    }
    let bytes = (0..token.len()).step_by(2).map(|at| u8::from_str_radix(&token[at..at + 2], 16).ok());
    let text = String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()?;
    let mut parts = text.split('|').map(str::to_owned);
    let ours = parts.next()? == VERSION && parts.next()? == fingerprint(query);
    ours.then(|| parts.collect())
}

fn fingerprint(query: &str) -> String {
    Sha256::digest(query.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_for_its_own_query_only() {
        let position = vec!["123".to_owned(), "456".to_owned()];
        let token = write("LHR MLE", &position);
        assert_eq!(read(&token, "LHR MLE"), Some(position));
        assert_eq!(read(&token, "LHR JFK"), None);
        for broken in ["", "zz", "0", "é", &"00".repeat(1000), &token[2..]] {
            assert_eq!(read(broken, "LHR MLE"), None, "{broken}");
        }
    }
}
