//! `sagactl watch`: follows a saga over server-sent events until it ends.

use std::collections::HashMap;

use contract::{
    SagaId, StepName,
    orchestrator_api::RecordView,
    saga::{SagaStatus, StepStatus},
};

use crate::{
    args::{One, Output},
    client::Client,
    failure::Failure,
    live::{self, Wants},
    output, tree,
};

/// Runs the command.
pub(crate) async fn run(client: &Client, one: &One, output: Output) -> Result<(), Failure> {
    let id: SagaId = one.id.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    if output == Output::Json {
        return Err(Failure::usage("a stream is not one document: use -o jsonl"));
    }
    let mut watcher = Watcher { output, status: None, steps: HashMap::new() };
    live::follow(client, &format!("/sagas/{id}/events"), |event| match event.event.as_str() {
        "record" => watcher.tell(&live::data(event)?).map(|()| Wants::More),
        "end" => Ok(Wants::NoMore),
        // Newer servers may say more.
        _ => Ok(Wants::More),
    })
    .await
}

/// The statuses that were told already.
struct Watcher {
    output: Output,
    status: Option<SagaStatus>,
    steps: HashMap<StepName, (StepStatus, u16)>,
}

impl Watcher {
    fn tell(&mut self, record: &RecordView) -> Result<(), Failure> {
        match self.output {
            Output::Jsonl => return output::print_json_line(record),
            Output::Ids => return output::print_line(&record.seq.to_string()),
            Output::Table | Output::Json => {}
        }
        let at = output::exact_time(record.at);
        for step in &record.steps {
            let now = (step.status, step.attempts);
            let before = self.steps.insert(step.name.clone(), now);
            let quiet = before.is_none() && matches!(step.status, StepStatus::Pending | StepStatus::NotApplicable);
            if before != Some(now) && !quiet {
                output::print_line(&format!("{at}  {}", tree::step_line(step)))?;
            }
        }
        if self.status.replace(record.status) != Some(record.status) {
            output::print_line(&format!("{at}  saga is {}", tree::words(record.status.as_str())))?;
        }
        Ok(())
    }
}
