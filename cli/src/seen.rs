//! The parts that this program reads of the server's documents. A newer server says more, and in words that are not known here: so
//! every word is a text, every field may be missing, and what is printed for programs is the document as it came.

mod explained;
mod figures;
mod jobs;
mod letters;
mod listings;
mod plans;
mod sagas;
mod timelines;

use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;

pub(crate) use self::{
    explained::{Act, Circuit, Domain, Explanation, Flow, OpenStep, Queue},
    figures::{Counts, Durations, Orchestrator, Point, Processes, SilentShard, Throughput, Way, Worker},
    jobs::{Item, Job, JobView, Preview},
    letters::Letter,
    listings::{Definition, Definitions, Migration, Pause, PauseView, Quarantined, SignalEffect, Week},
    plans::{Command, Left, Plan, Plans, Total},
    sagas::{Cause, Difference, Record, SagaPause, Step, Summary, Tree, View},
    timelines::{Span, Timeline},
};

/// A document as it came, and what is known of it here.
#[derive(Debug, Clone)]
pub(crate) struct Told<T> {
    document: Value,
    seen: T,
}

impl<T> Told<T> {
    /// The document as it came.
    pub(crate) const fn document(&self) -> &Value {
        &self.document
    }
}

impl<T> Deref for Told<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.seen
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Told<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Value::deserialize(deserializer)?;
        let seen = T::deserialize(&document).map_err(serde::de::Error::custom)?;
        Ok(Self { document, seen })
    }
}

impl<T> Serialize for Told<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document.serialize(serializer)
    }
}

/// A word of the server as people write it.
pub(crate) fn words(word: &str) -> String {
    crate::output::printable(&word.replace('_', " "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_printed_as_it_came_however_little_of_it_is_known() {
        let document = json!({
            "id": "saga_1", "status": "hibernating", "tide": "low", "head": 7, "input": 1.50,
            "steps": [{ "name": "hold-cabin", "kind": "floating", "status": "at_sea", "work": { "cruise": true } }],
        });
        let told: Told<View> = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(serde_json::to_value(&told).unwrap(), document);
        assert_eq!(
            (told.summary.status.as_str(), told.steps[0].status.as_str(), told.head),
            ("hibernating", "at_sea", 7)
        );
    }
}
