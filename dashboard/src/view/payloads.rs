//! The documents of a saga: its input, and what its steps were answered.

use contract::orchestrator_api::SagaView;

/// A document under the name of its source.
pub(crate) struct Payload {
    pub(crate) title: String,
    pub(crate) json: String,
}

pub(crate) fn payloads(view: &SagaView) -> Vec<Payload> {
    let payload =
        |title: String, value| Payload { title, json: serde_json::to_string_pretty(value).unwrap_or_default() };
    let replies =
        view.steps.iter().filter_map(|step| Some(payload(format!("Answer to {}", step.name), step.reply.as_ref()?)));
    std::iter::once(payload("Input".to_owned(), &view.input)).chain(replies).collect()
}
