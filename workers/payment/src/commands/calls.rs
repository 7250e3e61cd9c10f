//! The provider, as the commands ask it.

use std::sync::Arc;

use worker_runtime::HandlerError;

use crate::provider::{Answer, Asked, PaymentProvider, Unclear};

/// Carries out the domain's commands.
#[derive(Debug, Clone)]
pub(crate) struct Payments {
    pub(crate) provider: Arc<dyn PaymentProvider>,
}

/// The provider's answer. Where none came it is unclear what was done, and the runtime has it asked again.
pub(super) fn definite<T>(asked: Asked<T>) -> Result<Answer<T>, HandlerError> {
    asked.map_err(unclear)
}

/// The error of an answer that did not come.
pub(super) fn unclear(Unclear(why): Unclear) -> HandlerError {
    HandlerError::unclear(why)
}
