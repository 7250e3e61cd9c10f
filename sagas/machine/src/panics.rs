//! Panics as values. An orchestrator carries many sagas in one task, and one saga's bug must not end the others.

use std::panic::{AssertUnwindSafe, catch_unwind};

use contract::limits::cut_error_text;

/// Runs `work`; a panic becomes its text, cut to what an error may carry.
///
/// # Errors
/// The panic's text.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        cut_error_text(text.unwrap_or_else(|| "without a message".to_owned()))
    })
}
