//! The opaque token of the next page: where the last one ended, and a digest of the filter that it belongs to.

use contract::SagaId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes of an id, and of the digest behind it.
const ID_BYTES: usize = 16;
/// See [`ID_BYTES`]. Enough to notice a token that is used with another filter; it keeps nothing secret.
const DIGEST_BYTES: usize = 8;

/// The token of the page behind `last`, of the listing with this filter.
pub(super) fn write(last: SagaId, filter: &str) -> String {
    let bytes = last.uuid().into_bytes().into_iter().chain(digest(filter));
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Where the page before ended; `None` when the token is not ours or belongs to another filter.
pub(super) fn read(token: &str, filter: &str) -> Option<SagaId> {
    if token.len() != 2 * (ID_BYTES + DIGEST_BYTES) || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let (id, seal) = token.split_at(2 * ID_BYTES);
    let ours: String = digest(filter).into_iter().map(|byte| format!("{byte:02x}")).collect();
    if seal == ours { Uuid::try_parse(id).ok().map(SagaId::from_uuid) } else { None }
}

fn digest(filter: &str) -> [u8; DIGEST_BYTES] {
    let full = Sha256::digest(filter.as_bytes());
    std::array::from_fn(|i| full[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_with_its_own_filter_only() {
        let id = kit::ids::saga_id(1, 4);
        let token = write(id, "status=running");
        assert_eq!(read(&token, "status=running"), Some(id));
        assert_eq!(read(&token, "status=completed"), None);
        for bad in ["", "7", &token[1..], &token.replace(char::is_numeric, "z"), &"é".repeat(24)] {
            assert_eq!(read(bad, "status=running"), None, "{bad}");
        }
    }
}
