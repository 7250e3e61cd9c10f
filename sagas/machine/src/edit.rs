//! The edit of a command: an operator's merge patch (RFC 7396) on what would be sent, and the difference that it makes.
//!
//! The outcome is the command as its own type writes it, so that no participant can tell it from one that a definition built.

use contract::{Document, limits::PAYLOAD_BYTES_MAX, saga::FieldChange, step::Op};
use serde_json::{Map, Value};

use crate::{
    definition::Definition,
    payload::build_payload,
    state::State,
    step::{CommandSpec, Step},
};

/// A command as an operator wants it.
pub(crate) struct Edited {
    pub(crate) payload: Document,
    pub(crate) changes: Vec<FieldChange>,
}

/// Changes the command of a step; the error says in words why it would not be one.
pub(crate) fn edit(
    definition: &Definition,
    state: &State,
    step: &Step,
    op: Op,
    spec: &CommandSpec,
    patch: &Value,
) -> Result<Edited, String> {
    // A command that cannot be built has no fields yet: the patch is all of it.
    let built = build_payload(definition, state, step, op).ok().map(Document::from);
    let before = built.and_then(|payload| payload.to_value().ok()).unwrap_or_default();
    let mut wanted = before.clone();
    merge(&mut wanted, patch);
    let after = (spec.rewrite)(&Document::from(wanted.clone())).map_err(|mismatch| mismatch.to_string())?;
    if let Some(pointer) = unknown(String::new(), &wanted, &after) {
        return Err(format!("it has no field {pointer}"));
    }
    let changes = differences(&before, &after);
    if changes.is_empty() {
        return Err("it is the same as before".to_owned());
    }
    let payload = Document::from(after);
    let bytes = payload.text().len();
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(format!("it has {bytes} bytes, more than {PAYLOAD_BYTES_MAX}"));
    }
    Ok(Edited { payload, changes })
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// The first field that the command's type leaves out. One that is empty is left out by many types that know it.
fn unknown(pointer: String, wanted: &Value, written: &Value) -> Option<String> {
    match (wanted, written) {
        (Value::Object(wanted), Value::Object(written)) => wanted.iter().find_map(|(name, value)| {
            let pointer = field(&pointer, name);
            match written.get(name) {
                Some(written) => unknown(pointer, value, written),
                None => (!is_empty(value)).then_some(pointer),
            }
        }),
        (Value::Array(wanted), Value::Array(written)) => {
            let pairs = wanted.iter().zip(written).enumerate();
            pairs.into_iter().find_map(|(at, (value, written))| unknown(format!("{pointer}/{at}"), value, written))
        }
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// The places at which two documents differ: fields of objects one by one, all else as a whole.
#[must_use]
pub fn differences(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare(String::new(), Some(before), Some(after), &mut changes);
    changes
}

fn compare(pointer: String, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<FieldChange>) {
    match (before, after) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let added = other.keys().filter(|name| !one.contains_key(*name));
            for name in one.keys().chain(added) {
                compare(field(&pointer, name), one.get(name), other.get(name), changes);
            }
        }
        (before, after) if before == after => {}
        (before, after) => {
            let before = before.filter(|value| !value.is_null()).cloned();
            changes.push(FieldChange { pointer, before, after: after.cloned() });
        }
    }
}

fn field(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_sets_adds_and_removes_fields_and_the_difference_names_each() {
        let before = json!({"amount": {"value": "10.00", "currency": "EUR"}, "note": "a", "tags": [1]});
        let mut after = before.clone();
        merge(&mut after, &json!({"amount": {"value": "9.50"}, "note": null, "tags": [1, 2], "by~/hand": true}));
        let expected = json!({"amount": {"value": "9.50", "currency": "EUR"}, "tags": [1, 2], "by~/hand": true});
        assert_eq!(after, expected);
        let changes = differences(&before, &after);
        let pointers: Vec<_> = changes.iter().map(|change| change.pointer.as_str()).collect();
        assert_eq!(pointers, ["/amount/value", "/note", "/tags", "/by~0~1hand"]);
        assert_eq!((&changes[1].before, &changes[1].after), (&Some(json!("a")), &None));
    }

    #[test]
    fn a_field_that_the_type_leaves_out_is_found_unless_it_is_empty() {
        let written = json!({"items": [{"price": 1}]});
        assert_eq!(unknown(String::new(), &json!({"items": [{"price": 1, "force": false}]}), &written), None);
        let wrong = json!({"items": [{"price": 1, "prize": 2}]});
        assert_eq!(unknown(String::new(), &wrong, &written).as_deref(), Some("/items/0/prize"));
    }
}
