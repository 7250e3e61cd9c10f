//! The places at which two documents differ: a command before and after an edit, a saga before and after some of its records.

use contract::saga::FieldChange;
use serde_json::Value;

/// One place, with the values before and after.
pub(crate) struct Change {
    pub(crate) pointer: String,
    pub(crate) before: String,
    pub(crate) after: String,
    /// True for a sum, or a part of one.
    pub(crate) money: bool,
}

pub(crate) fn changes(changes: &[FieldChange]) -> Vec<Change> {
    let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
    let change = |change: &FieldChange| Change {
        pointer: change.pointer.clone(),
        before: text(&change.before),
        after: text(&change.after),
        money: change.is_money(),
    };
    changes.iter().map(change).collect()
}
