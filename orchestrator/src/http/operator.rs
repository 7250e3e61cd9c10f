//! The operator of a change by hand: name, role and reason, without which nothing is changed.

use axum::http::HeaderMap;
use contract::{
    card_number,
    orchestrator_api::{HEADER_ACTOR, HEADER_ROLE, REASON_BYTES_MAX},
    problem::FieldError,
};
use kit::http::ApiError;
use machine::Operator;

/// The shortest reason, in bytes: one word.
const REASON_BYTES_MIN: usize = 3;

/// The longest name or role, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Reads the operator from the headers and the reason from the body.
pub(super) fn read(headers: &HeaderMap, reason: &str) -> Result<Operator, ApiError> {
    let actor = header(headers, HEADER_ACTOR, "actor_missing")?;
    let role = header(headers, HEADER_ROLE, "operator_role_missing")?;
    let reason = reason.trim();
    if card_number::appears_in(reason) {
        return Err(ApiError::card_number_refused(vec!["#/reason".to_owned()]));
    }
    let wrong = if !(REASON_BYTES_MIN..=REASON_BYTES_MAX).contains(&reason.len()) {
        format!("has {} bytes; {REASON_BYTES_MIN} to {REASON_BYTES_MAX} are taken", reason.len())
    } else if reason.contains('\0') {
        "has the character U+0000".to_owned()
    } else {
        return Ok(Operator { actor, role, reason: reason.to_owned() });
    };
    let error = FieldError { detail: wrong.clone(), pointer: "#/reason".to_owned() };
    Err(ApiError::unprocessable("reason_invalid", format!("the reason {wrong}"), vec![error]))
}

fn header(headers: &HeaderMap, name: &'static str, code: &'static str) -> Result<String, ApiError> {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    match value {
        Some(value) if !value.is_empty() && value.len() <= NAME_BYTES_MAX => Ok(value.to_owned()),
        Some(_) | None => {
            let detail = format!("the header `{name}` must name who acts, in 1 to {NAME_BYTES_MAX} bytes");
            Err(ApiError::bad_request(code, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_changed_by_hand_without_name_role_and_reason() {
        let mut headers = HeaderMap::new();
        assert_eq!(read(&headers, "because").unwrap_err().code(), "actor_missing");
        headers.insert(HEADER_ACTOR, "usr_1".parse().unwrap());
        assert_eq!(read(&headers, "because").unwrap_err().code(), "operator_role_missing");
        headers.insert(HEADER_ROLE, "operator".parse().unwrap());
        for bad in ["", "  a ", &"x".repeat(REASON_BYTES_MAX + 1), "no\0no"] {
            assert_eq!(read(&headers, bad).unwrap_err().code(), "reason_invalid", "{bad:?}");
        }
        assert_eq!(read(&headers, "paid with 4111 1111 1111 1111 123").unwrap_err().code(), "card_number_refused");
        assert_eq!(read(&headers, " because ").unwrap().reason, "because");
    }
}
