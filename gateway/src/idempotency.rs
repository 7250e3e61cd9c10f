//! Idempotency of requests that start a saga: the client's key, the digest of what was asked, and the keys that this
//! process is working on. The first start under a key is kept by the orchestrator.

use std::{
    collections::HashSet,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::{HeaderMap, HeaderName};
use contract::{UserId, limits::IDEMPOTENCY_KEY_BYTES_MAX};
use kit::http::ApiError;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The header of a client's key.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A key within its person's keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ScopedKey(String);

impl ScopedKey {
    /// Reads the header: bare, or quoted as the draft standard has it.
    pub(crate) fn read(headers: &HeaderMap, user: UserId) -> Result<Self, ApiError> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let missing = || {
            let detail = "this needs an Idempotency-Key header, so that it can be repeated safely; a new UUID for each request will do";
            ApiError::bad_request("idempotency_key_missing", detail)
        };
        let first = values.next().ok_or_else(missing)?;
        let wrong = |detail: &str| ApiError::bad_request("idempotency_key_invalid", detail);
        if values.next().is_some() {
            return Err(wrong("there is more than one Idempotency-Key header"));
        }
        let text = first.to_str().map_err(|_| wrong("the Idempotency-Key has other than visible ASCII characters"))?;
        let key =
            unquoted(text.trim()).ok_or_else(|| wrong("the Idempotency-Key opens a quote that it does not close"))?;
        match key.len() {
            0 => Err(wrong("the Idempotency-Key is empty")),
            1..=IDEMPOTENCY_KEY_BYTES_MAX => Ok(Self::scoped(&key, user)),
            _ => Err(wrong(&format!("the Idempotency-Key is longer than {IDEMPOTENCY_KEY_BYTES_MAX} bytes"))),
        }
    }

    /// Hashed, so that what is stored has one length and shows nothing of what clients put into their keys.
    fn scoped(key: &str, user: UserId) -> Self {
        Self(format!("{user}:{}", hex(&Sha256::digest(key.as_bytes()))))
    }

    /// As the orchestrator keeps it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A structured field string (RFC 9651) without its quotes, or a bare text as it is.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let inner = rest.strip_suffix('"')?;
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return None,
            c => plain.push(c),
        }
    }
    Some(plain)
}

/// The digest of a request for a saga of that name: equal for equal JSON, however it is spaced and ordered.
pub(crate) fn fingerprint(saga: &str, body: &Value) -> String {
    let mut canonical = format!("{saga}\n");
    write_canonical(body, &mut canonical);
    hex(&Sha256::digest(canonical.as_bytes()))
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(fields) => {
            // Sorted here, whatever order the map keeps.
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(b.0));
            out.push('{');
            for (key, field) in sorted {
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_canonical(field, out);
                out.push(',');
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The keys that this process is working on right now.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<ScopedKey>>>);

/// A key in work; free again when this is dropped, also when the client has gone.
#[derive(Debug)]
pub(crate) struct Claim {
    all: InFlight,
    key: ScopedKey,
}

impl InFlight {
    /// Claims the key.
    pub(crate) fn claim(&self, key: &ScopedKey) -> Result<Claim, ApiError> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.insert(key.clone()) {
            Ok(Claim { all: self.clone(), key: key.clone() })
        } else {
            let detail = "a request with this Idempotency-Key is being worked on; repeat it, unchanged, in a moment";
            Err(ApiError::conflict("idempotency_key_in_use", detail).retry_after(1))
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn user(number: u128) -> UserId {
        UserId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn read(value: &str) -> Result<ScopedKey, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap());
        ScopedKey::read(&headers, user(1))
    }

    #[test]
    fn a_key_is_the_same_bare_and_quoted_and_another_for_another_person() {
        let bare = read("8e03-1").unwrap();
        assert_eq!(read("\"8e03-1\"").unwrap(), bare);
        assert_ne!(ScopedKey::scoped("8e03-1", user(2)), bare);
        assert!(bare.as_str().len() <= IDEMPOTENCY_KEY_BYTES_MAX);
    }

    #[test]
    fn a_missing_empty_long_or_half_quoted_key_is_named() {
        let code = |result: Result<ScopedKey, ApiError>| result.unwrap_err().code().to_owned();
        assert_eq!(code(ScopedKey::read(&HeaderMap::new(), user(1))), "idempotency_key_missing");
        for wrong in ["", "\"\"", "\"a", "\"a\"b\"", "\"a\\b\"", &"k".repeat(256)] {
            assert_eq!(code(read(wrong)), "idempotency_key_invalid", "{wrong}");
        }
        assert!(read(&"k".repeat(255)).is_ok());
    }

    #[test]
    fn a_fingerprint_sees_through_spacing_and_order_only() {
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let fingerprint = |body: &Value| super::fingerprint("order", body);
        let one = fingerprint(&parse(r#"{"a": [1, {"b": "x", "c": null}], "d": true}"#));
        assert_ne!(one, super::fingerprint("booking", &parse(r#"{"a": [1, {"b": "x", "c": null}], "d": true}"#)));
        assert_eq!(one, fingerprint(&parse(r#"{"d":true,"a":[1,{"c":null,"b":"x"}]}"#)));
        for other in [r#"{"a":[1,{"b":"x","c":null}],"d":false}"#, r#"{"a":[{"b":"x","c":null},1],"d":true}"#, "{}"] {
            assert_ne!(one, fingerprint(&parse(other)), "{other}");
        }
        assert_ne!(fingerprint(&json!({"a": "1"})), fingerprint(&json!({"a": 1})));
        assert_ne!(fingerprint(&json!(["a,b"])), fingerprint(&json!(["a", "b"])));
    }

    #[test]
    fn a_key_is_claimed_once_until_it_is_let_go() {
        let in_flight = InFlight::default();
        let key = read("k").unwrap();
        let claim = in_flight.claim(&key).unwrap();
        assert_eq!(in_flight.claim(&key).unwrap_err().code(), "idempotency_key_in_use");
        drop(claim);
        assert!(in_flight.claim(&key).is_ok());
    }
}
