//! The reads of sagas by which routes show what no domain knows, or not yet.

use axum::http::StatusCode;
use contract::{
    Page,
    orchestrator_api::{SagaSummary, SagaView, StepView},
};
use serde::de::DeserializeOwned;

use crate::{
    app::App,
    hop::Hop,
    upstream::{Call, UpstreamError},
};

/// The newest saga of that name for a business key.
pub(crate) async fn find(
    app: &App,
    hop: &Hop,
    name: &str,
    business_key: &str,
) -> Result<Option<SagaView>, UpstreamError> {
    let query = [("name", name.to_owned()), ("business_key", business_key.to_owned()), ("page_size", "1".to_owned())];
    let page: Page<SagaSummary> = read(app, hop, Call::get_with("/api/sagas", query)).await?;
    let Some(found) = page.items.into_iter().next() else { return Ok(None) };
    read(app, hop, Call::get(format!("/api/sagas/{}", found.id))).await.map(Some)
}

/// The start input of a saga, which this installation has written.
pub(crate) fn input<T: DeserializeOwned>(app: &App, saga: &SagaView) -> Result<T, UpstreamError> {
    serde_json::from_value(saga.input.clone()).map_err(|error| {
        let why = format!("the input of {} is not what `{}` takes: {error}", saga.summary.id, saga.summary.name);
        UpstreamError::Unusable { service: app.orchestrator.service(), why }
    })
}

/// The step of that name.
pub(crate) fn step<'a>(saga: &'a SagaView, name: &str) -> Option<&'a StepView> {
    saga.steps.iter().find(|step| step.name.as_str() == name)
}

async fn read<T: DeserializeOwned>(app: &App, hop: &Hop, call: Call) -> Result<T, UpstreamError> {
    let response = app.orchestrator.call(hop, call).await?;
    if response.status == StatusCode::OK { response.json() } else { Err(response.unexpected()) }
}
