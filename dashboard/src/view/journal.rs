//! Journal entries in words. An entry of a later program, whose word is not known here, is told by its own name.

use chrono::{DateTime, Utc};
use contract::orchestrator_api::RecordView;
use serde_json::Value;

use super::{
    names,
    times::{self, Moment},
};

/// The kinds of entries that are looked for alone, in words.
pub(crate) const KINDS: [(&str, &str); 9] = [
    ("operator_acted", "acts of operators"),
    ("command_dispatched", "commands sent"),
    ("command_done", "commands done"),
    ("command_refused", "commands refused"),
    ("command_failed", "attempts failed"),
    ("compensation_started", "turned around"),
    ("attention_needed", "a person needed"),
    ("signal_received", "signals heard"),
    ("timer_fired", "times that came"),
];

/// A record with its entries.
pub(crate) struct Row {
    pub(crate) seq: u64,
    pub(crate) at: Moment,
    pub(crate) entries: Vec<Entry>,
}

/// An entry in words, and as it is stored.
pub(crate) struct Entry {
    pub(crate) words: String,
    pub(crate) detail: String,
    /// The class of its color, where it is one to stop at.
    pub(crate) class: &'static str,
    pub(crate) json: String,
}

pub(crate) fn row(record: &RecordView, now: DateTime<Utc>) -> Row {
    let entries = record.entries.iter().map(entry).collect();
    Row { seq: record.seq, at: times::moment(record.at, now), entries }
}

fn entry(entry: &Value) -> Entry {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let kind = text("entry");
    let step = text("step");
    let doing = match text("op") {
        "compensation" => "Undoing ",
        "extension" => "Extending ",
        _ => "",
    };
    let failed = || format!("{}: {}", text("code"), text("message"));
    let words = match kind {
        "saga_started" => "Started".to_owned(),
        "command_dispatched" => format!("{doing}{step}: sent, attempt {}", entry["attempt"]),
        "command_done" => format!("{doing}{step}: done"),
        "command_refused" => format!("{doing}{step}: refused"),
        "command_failed" => format!("{doing}{step}: attempt {} failed", entry["attempt"]),
        "compensation_started" => "Turned around".to_owned(),
        "attention_needed" => format!("{doing}{step}: a person is needed"),
        "operator_acted" => format!("An operator acted: {}", names::words(word(&entry["action"], "action"))),
        "step_skipped" => format!("{doing}{step}: skipped by an operator"),
        "command_edited" => format!("{doing}{step}: its command was edited"),
        "signal_awaited" => format!("{step}: waits for the signal {}", text("signal")),
        "signal_received" => format!("Heard the signal {}", text("signal")),
        "signal_taken" => format!("{step}: took its signal"),
        "signal_missed" => format!("{step}: missed its signal"),
        "timer_set" => format!("{step}: waits for a time"),
        "timer_fired" => format!("{step}: its time came"),
        "definition_changed" => format!("Taken over by version {}", entry["version"]),
        "step_not_needed" => format!("{step}: not needed"),
        other if step.is_empty() => names::title(other),
        other => format!("{step}: {}", names::words(other)),
    };
    let detail = match kind {
        "command_refused" | "command_failed" | "attention_needed" => failed(),
        "compensation_started" | "closing_started" => {
            format!("{}: {}", word(&entry["cause"], "code"), word(&entry["cause"], "message"))
        }
        "operator_acted" => format!("“{}”", word(&entry["operator"], "reason")),
        _ => String::new(),
    };
    let class = match kind {
        "attention_needed" => "attention",
        "command_refused" | "command_failed" | "compensation_started" | "signal_missed" => "compensating",
        "operator_acted" => "accent",
        _ => "",
    };
    let json = serde_json::to_string_pretty(entry).unwrap_or_default();
    Entry { words, detail, class, json }
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_told_in_words_and_unknown_ones_by_their_names() {
        let told = |value: Value| entry(&value).words;
        let sent = json!({"entry": "command_dispatched", "step": "hold-seats", "op": "compensation", "attempt": 2});
        assert_eq!(told(sent), "Undoing hold-seats: sent, attempt 2");
        assert_eq!(told(json!({"entry": "definition_changed", "version": 2})), "Taken over by version 2");
        assert_eq!(told(json!({"entry": "saga_renamed"})), "Saga renamed");
        assert_eq!(told(json!({"entry": "child_awaited", "step": "pay"})), "pay: child awaited");
        let acted =
            entry(&json!({"entry": "operator_acted", "action": {"action": "fire_timer"}, "operator": {"reason": "x"}}));
        assert_eq!((acted.words.as_str(), acted.detail.as_str()), ("An operator acted: fire timer", "“x”"));
    }
}
