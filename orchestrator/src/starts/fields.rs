//! The bounds of a start's fields, checked before anything is done for it.

use contract::{limits::IDEMPOTENCY_KEY_BYTES_MAX, orchestrator_api::StartSaga};
use serde_json::Value;

use super::refused::StartRefused;

/// The longest business key or owner, in bytes: they are indexed columns, and ids of the business are short.
pub(crate) const BUSINESS_KEY_BYTES_MAX: usize = 200;

/// The longest fingerprint of a request, in bytes: a SHA-512 in hexadecimal.
const FINGERPRINT_BYTES_MAX: usize = 128;

/// Refuses a start with a field that is empty, too long, or cannot be stored.
pub(super) fn check_fields(start: &StartSaga) -> Result<(), StartRefused> {
    check_length("business_key", &start.business_key, 1, BUSINESS_KEY_BYTES_MAX)?;
    if let Some(owner) = &start.owner {
        check_length("owner", owner, 1, BUSINESS_KEY_BYTES_MAX)?;
    }
    if let Some(key) = &start.idempotency {
        check_length("idempotency/key", &key.key, 1, IDEMPOTENCY_KEY_BYTES_MAX)?;
        check_length("idempotency/fingerprint", &key.fingerprint, 1, FINGERPRINT_BYTES_MAX)?;
    }
    // PostgreSQL keeps neither in text nor in jsonb what JSON may well carry.
    if has_nul(&start.input) {
        return Err(StartRefused::Field { field: "input", detail: "the character U+0000 cannot be stored".to_owned() });
    }
    Ok(())
}

fn check_length(field: &'static str, text: &str, bytes_min: usize, bytes_max: usize) -> Result<(), StartRefused> {
    let detail = if !(bytes_min..=bytes_max).contains(&text.len()) {
        format!("has {} bytes; {bytes_min} to {bytes_max} are taken", text.len())
    } else if text.chars().any(char::is_control) {
        "has control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(StartRefused::Field { field, detail })
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_over_its_bounds_is_named() {
        let start = |business_key: &str, input: Value| StartSaga {
            name: "x".to_owned(),
            version: None,
            idempotency: None,
            business_key: business_key.to_owned(),
            owner: None,
            traceparent: None,
            input,
        };
        assert!(check_fields(&start("ord_1", Value::Null)).is_ok());
        for bad in ["", "a\nb", &"x".repeat(BUSINESS_KEY_BYTES_MAX + 1)] {
            let refused = check_fields(&start(bad, Value::Null)).unwrap_err();
            assert!(matches!(refused, StartRefused::Field { field: "business_key", .. }), "{refused}");
        }
        let nul = check_fields(&start("a", serde_json::json!({"deep": ["\0"]}))).unwrap_err();
        assert!(matches!(nul, StartRefused::Field { field: "input", .. }));
    }
}
