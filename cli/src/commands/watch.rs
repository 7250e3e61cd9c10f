//! `sagactl watch` and `wait`: follow sagas over server-sent events until they end.

use std::{collections::HashMap, time::Duration};

use contract::{SagaId, saga::SagaStatus};
use serde_json::Value;

use crate::{
    args::{Output, Wait, Watch},
    client::Client,
    commands::bulk,
    failure::Failure,
    live::{self, Wants},
    output,
    seen::{Record, Told, words},
    select, tree,
};

/// The statuses of steps that are not told before anything has happened to them.
const QUIET: [&str; 2] = ["pending", "not_applicable"];

/// Runs the command.
pub(crate) async fn run(client: &Client, watch: &Watch, output: Output) -> Result<(), Failure> {
    let id: SagaId = watch.one.id.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    if matches!(output, Output::Json | Output::Yaml) {
        return Err(Failure::usage("a stream is not one document: use -o jsonl"));
    }
    follow(client, id, Some(output)).await?;
    if watch.exit_status { completed(client, id).await } else { Ok(()) }
}

/// Waits until all of several sagas have ended; an error when one did not complete, or the time is over.
pub(crate) async fn wait(client: &Client, wait: &Wait) -> Result<(), Failure> {
    let ids = select::select::<SagaId>(&wait.selection.ids)?.ids;
    let ended = async {
        // One after the other: the last one's end is waited for in any case.
        let mut report = bulk::Report::default();
        for id in ids {
            follow(client, id, None).await?;
            report.add(id, completed(client, id).await);
        }
        report.end()
    };
    match wait.timeout {
        None => ended.await,
        Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds.into()), ended)
            .await
            .unwrap_or_else(|_| Err(Failure::error(format!("not all have ended within {seconds} s")))),
    }
}

/// An error for a saga that has ended otherwise than completed.
async fn completed(client: &Client, id: SagaId) -> Result<(), Failure> {
    let saga = client.get::<Value>(&format!("/sagas/{id}"), &[]).await?;
    match saga["status"].as_str() {
        Some(status) if status == SagaStatus::Completed.as_str() => Ok(()),
        status => Err(Failure::error(format!("the saga is {}", output::printable(status.unwrap_or("gone"))))),
    }
}

/// Follows a saga until it has ended, and tells of it in the output's shape, if there is one.
async fn follow(client: &Client, id: SagaId, output: Option<Output>) -> Result<(), Failure> {
    let mut watcher = output.map(|output| Watcher { output, status: None, steps: HashMap::new() });
    live::follow(client, &format!("/sagas/{id}/events"), |event| match (event.event.as_str(), &mut watcher) {
        ("record", Some(watcher)) => watcher.tell(&live::data(event)?).map(|()| Wants::More),
        ("end", _) => Ok(Wants::NoMore),
        // Newer servers may say more.
        _ => Ok(Wants::More),
    })
    .await
}

/// The statuses that were told already.
struct Watcher {
    output: Output,
    status: Option<String>,
    steps: HashMap<String, (String, u32)>,
}

impl Watcher {
    fn tell(&mut self, record: &Told<Record>) -> Result<(), Failure> {
        match self.output {
            Output::Jsonl => return output::print_json_line(record),
            Output::Ids => return output::print_line(&record.seq.to_string()),
            Output::Table | Output::Json | Output::Yaml => {}
        }
        let at = output::exact_time(record.at);
        for step in &record.steps {
            let now = (step.status.clone(), step.attempts);
            let before = self.steps.insert(step.name.clone(), now.clone());
            let quiet = before.is_none() && QUIET.contains(&step.status.as_str());
            if before != Some(now) && !quiet {
                output::print_line(&format!("{at}  {}", tree::step_line(step)))?;
            }
        }
        if self.status.as_ref() != Some(&record.status) {
            output::print_line(&format!("{at}  saga is {}", words(&record.status)))?;
            self.status = Some(record.status.clone());
        }
        Ok(())
    }
}
