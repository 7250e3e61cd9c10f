//! The orchestrator with the agency's sagas.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = kit::settings::load();
    Ok(orchestrator::program(cli, catalog::all()?).await?)
}
