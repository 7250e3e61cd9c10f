//! `sagactl watch`: follows a saga over server-sent events until it ends, and takes a lost connection up again
//! after the last record it has seen.

use std::{collections::HashMap, time::Duration};

use contract::{
    SagaId, StepName,
    orchestrator_api::RecordView,
    saga::{SagaStatus, StepStatus},
};
use eventsource_stream::Eventsource as _;
use futures::StreamExt as _;
use reqwest::StatusCode;

use crate::{
    args::{One, Output},
    client::{self, Client},
    failure::{Exit, Failure},
    output, tree,
};

/// How long to wait before the first new attempt; doubled each time.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// The longest wait between two attempts: an operator is looking.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// After so many attempts in a row without one record the gateway counts as gone.
const ATTEMPTS_MAX: u32 = 30;

/// Runs the command.
pub(crate) async fn run(client: &Client, one: &One, output: Output) -> Result<(), Failure> {
    let id: SagaId = one.id.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    if output == Output::Json {
        return Err(Failure::usage("a stream is not one document: use -o jsonl"));
    }
    let mut watcher = Watcher { id, output, last: None, status: None, steps: HashMap::new() };
    let mut attempts = 0;
    loop {
        let before = watcher.last.clone();
        match watcher.follow(client).await {
            Ok(Followed::Ended) => return Ok(()),
            Ok(Followed::Lost(why)) => output::note(&format!("the connection was lost ({why}); taking it up again")),
            Ok(Followed::Broken(failure)) => return Err(failure),
            // Wrong ids, missing rights and our own output do not get better by asking again.
            Err(failure) if failure.exit != Exit::Error => return Err(failure),
            Err(failure) => output::note(&format!("{failure}; trying again")),
        }
        attempts = if watcher.last == before { attempts + 1 } else { 0 };
        if attempts >= ATTEMPTS_MAX {
            return Err(Failure::error(format!("given up after {ATTEMPTS_MAX} attempts")));
        }
        let pause = PAUSE_FIRST.saturating_mul(1 << attempts.min(8)).min(PAUSE_MAX);
        tokio::time::sleep(pause).await;
    }
}

enum Followed {
    Ended,
    Lost(String),
    Broken(Failure),
}

fn not_understood(error: &serde_json::Error) -> Failure {
    Failure::error(format!("a record that this sagactl does not understand: {error}"))
}

/// The statuses that were told already.
struct Watcher {
    id: SagaId,
    output: Output,
    last: Option<String>,
    status: Option<SagaStatus>,
    steps: HashMap<StepName, (StepStatus, u16)>,
}

impl Watcher {
    async fn follow(&mut self, client: &Client) -> Result<Followed, Failure> {
        let response = client.stream(&format!("/sagas/{}/events", self.id), self.last.as_deref()).await?;
        if response.status() == StatusCode::NO_CONTENT {
            // All was told before, but for the end itself.
            return Ok(Followed::Ended);
        }
        let mut events = response.bytes_stream().eventsource();
        loop {
            let Some(next) = client::within_silence(events.next()).await else {
                return Ok(Followed::Lost("silence".to_owned()));
            };
            match next {
                None => return Ok(Followed::Lost("closed".to_owned())),
                Some(Err(error)) => return Ok(Followed::Lost(error.to_string())),
                Some(Ok(event)) => match event.event.as_str() {
                    "record" => {
                        let record: RecordView = match serde_json::from_str(&event.data) {
                            Ok(record) => record,
                            Err(error) => return Ok(Followed::Broken(not_understood(&error))),
                        };
                        self.tell(&record)?;
                        self.last = Some(record.seq.to_string());
                    }
                    "end" => return Ok(Followed::Ended),
                    // Newer servers may say more.
                    _ => {}
                },
            }
        }
    }

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
