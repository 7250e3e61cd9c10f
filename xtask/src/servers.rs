//! The private servers that tasks run on.

use std::{fs, path::PathBuf};

use anyhow::Context;
use private_servers::{
    Place, Postgres, PostgresOptions, RabbitMq, RabbitMqOptions,
    packages::{self, Tool},
    testing::{AMQP_VARIABLE, DATABASE_VARIABLE},
};

use crate::child::Stop;

/// A PostgreSQL and a RabbitMQ that end with the task.
pub(crate) struct Servers {
    postgres: Postgres,
    rabbit: RabbitMq,
}

impl Servers {
    /// Starts both at once, in new folders or in lasting ones.
    pub(crate) async fn start(data: Option<PathBuf>) -> anyhow::Result<Servers> {
        ensure(&[Tool::PostgreSql, Tool::RabbitMq])?;
        let place = |name: &str| data.as_ref().map_or(Place::Temporary, |folder| Place::At(folder.join(name)));
        let postgres = PostgresOptions { place: place("postgres"), ..PostgresOptions::for_tests() };
        let rabbit = RabbitMqOptions { place: place("rabbitmq"), ..RabbitMqOptions::for_tests() };
        let (postgres, rabbit) = tokio::try_join!(Postgres::start(postgres), RabbitMq::start(rabbit))?;
        Ok(Servers { postgres, rabbit })
    }

    /// The variables by which tests find the servers.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [(DATABASE_VARIABLE, self.postgres.url("postgres")), (AMQP_VARIABLE, self.rabbit.url())]
    }

    pub(crate) async fn stop(mut self) {
        tokio::join!(self.postgres.stop(), self.rabbit.stop());
    }
}

/// Gets what is missing, saying so.
pub(crate) fn ensure(tools: &[Tool]) -> anyhow::Result<()> {
    packages::ensure(tools, &mut |line| eprintln!("{line}")).map_err(Into::into)
}

/// Runs the servers until this process is told to stop.
pub(crate) async fn serve(data: Option<PathBuf>, env_file: Option<PathBuf>, stop: &Stop) -> anyhow::Result<()> {
    let servers = tokio::select! {
        servers = Servers::start(data) => servers?,
        _ = stop.told() => return Ok(()),
    };
    let lines: String = servers.variables().map(|(name, value)| format!("export {name}={value}\n")).concat();
    print!("{lines}");
    if let Some(file) = &env_file {
        fs::write(file, &lines).with_context(|| format!("could not write {}", file.display()))?;
    }
    stop.told().await;
    servers.stop().await;
    if let Some(file) = env_file {
        // A file that names servers which are gone would only mislead.
        let _ = fs::remove_file(file);
    }
    Ok(())
}
