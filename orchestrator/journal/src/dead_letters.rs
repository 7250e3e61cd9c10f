//! The form in which both adapters keep and show a dead letter.
//!
//! A dead letter may come from any program and hold any bytes. Keeping it must never fail for its content, or the queue
//! of dead letters would be stuck at its first bad one.

use chrono::{DateTime, SubsecRound, Utc};
use contract::{
    limits::{ERROR_TEXT_BYTES_MAX, MESSAGE_BYTES_MAX},
    orchestrator_api::DeadLetterView,
};

use crate::port::{KeptDeadLetter, NewDeadLetter};

/// The letter as it is kept: texts cut and without U+0000 (which PostgreSQL refuses), the body as it came.
pub(crate) fn fit(letter: &NewDeadLetter) -> NewDeadLetter {
    NewDeadLetter {
        message_id: fit_text(&letter.message_id),
        saga_id: letter.saga_id,
        command_id: letter.command_id.clone(),
        queue: fit_text(&letter.queue),
        exchange: letter.exchange.as_deref().map(fit_text),
        routing_key: fit_text(&letter.routing_key),
        reason: fit_text(&letter.reason),
        kind: fit_text(&letter.kind),
        body: letter.body.clone(),
        received_at: letter.received_at.trunc_subsecs(6),
    }
}

/// The letter as it was read back, with what operators see of it.
pub(crate) fn kept(id: i64, redriven_at: Option<DateTime<Utc>>, letter: NewDeadLetter) -> KeptDeadLetter {
    KeptDeadLetter { view: view(id, redriven_at, &letter), letter }
}

/// The letter as operators see it: its body cut to one message's size.
pub(crate) fn view(id: i64, redriven_at: Option<DateTime<Utc>>, letter: &NewDeadLetter) -> DeadLetterView {
    let shown = letter.body.get(..MESSAGE_BYTES_MAX).unwrap_or(&letter.body);
    DeadLetterView {
        id,
        saga_id: letter.saga_id,
        command_id: letter.command_id.as_ref().map(ToString::to_string),
        op: letter.command_id.as_ref().map(|command| command.op),
        queue: letter.queue.clone(),
        reason: letter.reason.clone(),
        body: String::from_utf8_lossy(shown).into_owned(),
        received_at: letter.received_at,
        redriven_at,
    }
}

fn fit_text(text: &str) -> String {
    let end = (0..=ERROR_TEXT_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].replace('\0', "\u{fffd}")
}
