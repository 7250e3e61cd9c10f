//! Many orders at once, started at the orchestrators as the gateway would: the door's own work takes longer than all that
//! is tested behind it.

use anyhow::{Context, Result, ensure};
use contract::orchestrator_api::{StartKey, StartSaga};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{client::Client, system::System};

/// Starts under way at once.
const STARTS_MAX: usize = 64;

/// More seats than any test sells.
const SEATS: i32 = 1_000_000;

impl System {
    /// Puts many seats of every flight on sale.
    ///
    /// # Errors
    /// When the database of the flights is not there.
    pub async fn enlarge_flights(&self) -> Result<()> {
        let mut flights = self.database("sojourn_flights").await?;
        sqlx::query("UPDATE cabin_inventory SET capacity = $1").bind(SEATS).execute(&mut flights).await?;
        Ok(())
    }

    /// Starts so many orders of the same person for the same things as one that was placed; their ids.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn order_again(&self, saga: &str, count: usize) -> Result<Vec<String>> {
        let orchestrators = [self.internal("orchestrator-1"), self.internal("orchestrator-2")];
        let placed = orchestrators[0].get(&format!("/api/sagas/{saga}")).await?.body;
        let orders = stream::iter(0..count)
            .map(|number| start(&orchestrators[number % orchestrators.len()], &placed, None))
            .buffer_unordered(STARTS_MAX);
        orders.try_collect().await
    }

    /// As [`System::order_again`], of the first version and at one orchestrator, as an earlier gateway would.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn order_as_before(&self, saga: &str, count: usize, orchestrator: &str) -> Result<Vec<String>> {
        let orchestrator = self.internal(orchestrator);
        let mut placed = self.internal("orchestrator-1").get(&format!("/api/sagas/{saga}")).await?.body;
        let input = placed["input"].as_object_mut().context("no input")?;
        ["departs_on", "payment_plan", "payment_id"].iter().for_each(|later| drop(input.remove(*later)));
        let orders =
            stream::iter(0..count).map(|_| start(&orchestrator, &placed, Some(1))).buffer_unordered(STARTS_MAX);
        orders.try_collect().await
    }
}

async fn start(orchestrator: &Client, placed: &Value, version: Option<u32>) -> Result<String> {
    let order_id = kit::ids::order_id().to_string();
    let mut input = placed["input"].clone();
    input["order_id"] = json!(order_id);
    if input.get("payment_id").is_some() {
        input["payment_id"] = json!(kit::ids::payment_id().to_string());
    }
    let start = StartSaga {
        name: placed["name"].as_str().context("no name")?.to_owned(),
        version,
        idempotency: Some(StartKey { key: order_id.clone(), fingerprint: order_id.clone() }),
        business_key: order_id.clone(),
        owner: placed["owner"].as_str().map(str::to_owned),
        traceparent: None,
        input,
    };
    let answer = orchestrator.call(Method::POST, "/api/sagas", Some(serde_json::to_value(start)?)).await?;
    ensure!(answer.status.is_success(), "a start was refused: {answer:?}");
    Ok(order_id)
}
