//! Asking the provider once: an answer that never came is looked up by the key of the call, never guessed.

use worker_runtime::HandlerError;

use crate::provider::{Answer, Key, PaymentProvider, ProviderError};

/// Makes a call to the provider, unless an earlier, interrupted one (`resumed`) was answered under the same key. A lost
/// answer is looked up at once. When the call never took effect it is unclear, and made again under the same key.
pub(crate) async fn ask_once(
    provider: &dyn PaymentProvider,
    key: &Key,
    resumed: bool,
    call: impl Future<Output = Result<Answer, ProviderError>> + Send,
) -> Result<Answer, HandlerError> {
    if resumed && let Some(answer) = provider.lookup(key).await.map_err(unclear)? {
        return Ok(answer);
    }
    let lost = match call.await {
        Ok(answer) => return Ok(answer),
        Err(ProviderError::Unclear(lost)) => lost,
    };
    match provider.lookup(key).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(HandlerError::unclear(format!("{lost}; the provider has no record of {}", key.0))),
        Err(ProviderError::Unclear(again)) => Err(HandlerError::unclear(format!("{lost}; {again}"))),
    }
}

fn unclear(ProviderError::Unclear(lost): ProviderError) -> HandlerError {
    HandlerError::unclear(lost)
}
