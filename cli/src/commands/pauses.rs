//! `sagactl pauses`: the pauses of domains, definitions and steps.

use contract::orchestrator_api::PauseRequest;
use serde_json::json;

use crate::{
    args::{Output, Pauses},
    client::Client,
    commands::act,
    failure::Failure,
    output::{self, printable},
    seen::{Pause, PauseView, Told},
};

/// Runs the command.
pub(crate) async fn run(client: &Client, pauses: Pauses, output: Output) -> Result<(), Failure> {
    match pauses {
        Pauses::List => list(client, output).await,
        Pauses::Begin { scope, reason } => {
            let request = PauseRequest { scope, reason: act::reason(&reason)? };
            print(&client.post::<Told<Pause>>("/pauses", &request).await?, output)
        }
        Pauses::End { scope, reason } => {
            let body = json!({ "reason": act::reason(&reason)? });
            print(&client.post::<Told<Pause>>(&format!("/pauses/{scope}/end"), &body).await?, output)
        }
    }
}

async fn list(client: &Client, output: Output) -> Result<(), Failure> {
    let (views, _) = client.list::<Told<PauseView>>("/pauses", &[], usize::MAX).await?;
    match output {
        Output::Table if views.is_empty() => output::note("no pauses"),
        Output::Table => output::print_line(&table(&views))?,
        Output::Json | Output::Yaml => output::print_document(&views, output)?,
        Output::Jsonl => views.iter().try_for_each(output::print_json_line)?,
        Output::Ids => views.iter().try_for_each(|view| output::print_line(&printable(&view.pause.scope)))?,
    }
    Ok(())
}

fn table(views: &[Told<PauseView>]) -> String {
    let rows = views.iter().map(|view| {
        let quiescent = match view.silent_shards.len() {
            0 if view.quiescent => "yes".to_owned(),
            0 => "no".to_owned(),
            silent => format!("unknown: {silent} shards gave no answer"),
        };
        let Pause { scope, actor, reason, since } = &view.pause;
        vec![
            printable(scope),
            output::time(*since),
            printable(&view.clock),
            view.under_way.to_string(),
            view.held_sagas.to_string(),
            quiescent,
            printable(actor),
            printable(reason),
        ]
    });
    output::table(&["SCOPE", "SINCE", "CLOCK", "UNDER WAY", "SAGAS HELD", "QUIESCENT", "BY", "REASON"], rows)
}

fn print(pause: &Told<Pause>, output: Output) -> Result<(), Failure> {
    match output {
        Output::Table => {
            output::print_line(&format!("{} since {}", printable(&pause.scope), output::time(pause.since)))
        }
        Output::Json | Output::Yaml => output::print_document(pause, output),
        Output::Jsonl => output::print_json_line(pause),
        Output::Ids => output::print_line(&printable(&pause.scope)),
    }
}
