//! The sizes that every part agrees on. A number stands here when two programs must know it; each says why.

/// The largest command payload, reply or saga input, in bytes of JSON. Ten times the largest order that can be placed
/// (9 travellers, 12 items); far below RabbitMQ's and PostgreSQL's own limits.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// The largest message on the broker, in bytes: a payload and its envelope.
pub const MESSAGE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 8 * 1024;

/// The deepest nesting of a saga's input or a reply, in levels. JSON is read to 128 levels, and a journal's record and
/// a page of records hold it some levels deeper than the message that brought it.
pub const NESTING_LEVELS_MAX: usize = 64;

/// The longest error text that is journaled or sent, in bytes. Longer ones are cut: they are for people.
pub const ERROR_TEXT_BYTES_MAX: usize = 2 * 1024;

/// The most items in one order. A journey has a handful; the bound keeps one transaction short.
pub const ORDER_ITEMS_MAX: usize = 12;

/// The most travellers in one order: as many as airlines take in one booking.
pub const TRAVELLERS_MAX: usize = 9;

/// The largest page of any listing; larger requests are cut to it (AIP-158).
pub const PAGE_SIZE_MAX: u32 = 200;

/// The size of a page when the client names none.
pub const PAGE_SIZE_DEFAULT: u32 = 50;

/// The longest idempotency key, in bytes (Stripe's limit, which clients know).
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Cuts an error text to [`ERROR_TEXT_BYTES_MAX`] at a character boundary.
#[must_use]
pub fn cut_error_text(mut text: String) -> String {
    if text.len() > ERROR_TEXT_BYTES_MAX {
        let end = (0..=ERROR_TEXT_BYTES_MAX).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
