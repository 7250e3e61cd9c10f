//! `sagactl jobs`: one act on many sagas, which the server carries out while nobody watches.

use contract::{
    JobId,
    orchestrator_api::{AfterCanary, Canary, JOB_SAGAS_MAX, JobPreviewRequest, JobRequest, JobRerun},
    saga::{Action, PauseClock, PausedHolds},
};
use serde_json::json;

use crate::{
    args::{JobAct, JobCreate, JobRate, Jobs, Output},
    call::Call,
    client::Client,
    commands::{act, list},
    failure::{Exit, Failure},
    live::{self, Wants},
    output,
    seen::{Item, Job, JobView, Preview, Told, words},
    select,
};

/// Runs the command.
pub(crate) async fn run(call: &Call, jobs: Jobs) -> Result<(), Failure> {
    let (client, output) = (&call.client, call.output);
    match jobs {
        Jobs::Create(create) => make(call, *create).await,
        Jobs::List { limit } => {
            let wanted = if limit == 0 { usize::MAX } else { limit as usize };
            let (jobs, more) = client.list::<Told<Job>>("/jobs", &[], wanted).await?;
            if jobs.is_empty() && output == Output::Table {
                output::note("no jobs");
            } else {
                print(&jobs, output)?;
            }
            say_more(more, limit);
            Ok(())
        }
        Jobs::Show { id } => show(client, id, output).await,
        Jobs::Watch { id } => watch(client, id, output).await,
        Jobs::Items { id, outcome, limit } => items(client, id, outcome.as_deref(), limit, output).await,
        Jobs::Pause { id, reason } => change(client, id, "pause", &reason, output).await,
        Jobs::Resume { id, reason } => change(client, id, "resume", &reason, output).await,
        Jobs::Abort { id, reason } => change(client, id, "abort", &reason, output).await,
        Jobs::Rerun { id, reason, rate } => {
            let (pace, canary, name) = (rate.pace, canary(&rate), rate.request_id.unwrap_or(call.request));
            let request = JobRerun { reason: act::reason(&reason)?, pace, canary, request_id: Some(name) };
            let job: Told<Job> = client.post_named(&format!("/jobs/{id}/rerun"), &request, name).await?;
            print(&[job], output)
        }
    }
}

async fn make(call: &Call, create: JobCreate) -> Result<(), Failure> {
    let (client, output) = (&call.client, call.output);
    let action = action(&create)?;
    let reason = act::reason(&create.consent.reason)?;
    let filter = match &create.query {
        Some(query) => select::query(query, call.now)?
            .into_filter()
            .map_err(|error| Failure::usage(format!("--query: {error}")))?,
        None => list::filter(&create.filter, call.now)?,
    };
    let preview: Told<Preview> = client.ask("/jobs/preview", &JobPreviewRequest { filter: filter.clone() }).await?;
    if create.dry_run {
        return print_preview(&preview, output);
    }
    let count = usize::try_from(preview.sagas).unwrap_or(usize::MAX);
    select::confirm(action.as_str(), "sagas", count, false, create.consent.yes)?;
    let (pace, canary, name) = (create.rate.pace, canary(&create.rate), create.rate.request_id.unwrap_or(call.request));
    let request = JobRequest { action, filter, reason, pace, canary, request_id: Some(name) };
    let job: Told<Job> = client.post_named("/jobs", &request, name).await?;
    print(&[job], output)
}

/// The action that the flags say.
fn action(create: &JobCreate) -> Result<Action, Failure> {
    let JobCreate { act, step, reply, force, to, .. } = create;
    if to.is_some() != (*act == JobAct::Migrate) {
        return Err(Failure::usage("a migration needs --to, and nothing else has it; nothing was done"));
    }
    let without = |action: Action| match (step, reply, force) {
        (None, None, false) => Ok(action),
        _ => Err(Failure::usage("--step, --reply and --force have no meaning for this action; nothing was done")),
    };
    match act {
        JobAct::Migrate => without(Action::Migrate { version: to.unwrap_or_default() }),
        JobAct::Cancel => without(Action::Cancel {}),
        JobAct::Abandon => without(Action::Abandon {}),
        JobAct::Pause => without(Action::Pause { clock: PauseClock::default(), holds: PausedHolds::default() }),
        JobAct::Resume => without(Action::Resume {}),
        JobAct::Retry if reply.is_some() || *force => {
            Err(Failure::usage("--reply and --force are for a skip; nothing was done"))
        }
        JobAct::Retry => Ok(Action::Retry { step: step.clone() }),
        JobAct::Skip => match (step.clone(), reply.clone()) {
            (Some(step), Some(reply)) => Ok(Action::Skip { step, reply, force: *force }),
            _ => Err(Failure::usage("a skip needs --step and --reply; nothing was done")),
        },
    }
}

fn canary(rate: &JobRate) -> Option<Canary> {
    let then = if rate.go_on { AfterCanary::GoOn } else { AfterCanary::Wait };
    rate.canary.map(|sagas| Canary { sagas, then })
}

async fn change(client: &Client, id: JobId, change: &str, reason: &str, output: Output) -> Result<(), Failure> {
    let reason = act::reason(reason)?;
    let job: Told<Job> = client.post(&format!("/jobs/{id}/{change}"), &json!({ "reason": reason })).await?;
    print(&[job], output)
}

async fn show(client: &Client, id: JobId, output: Output) -> Result<(), Failure> {
    let view: Told<JobView> = client.get(&format!("/jobs/{id}"), &[]).await?;
    match output {
        Output::Table => {
            let job = &view.job;
            output::print_line(&table([job]))?;
            output::print_line(&format!("\nby {}: {}", output::printable(&job.actor), output::printable(&job.reason)))?;
            if let Some(trouble) = &job.trouble {
                output::print_line(&format!("stands: {}", output::printable(trouble)))?;
            }
            if !view.refusals.is_empty() {
                let rows = view.refusals.iter().map(|of| vec![output::printable(&of.code), of.sagas.to_string()]);
                output::print_line(&format!("\n{}", output::table(&["REFUSED WITH", "SAGAS"], rows)))?;
            }
            Ok(())
        }
        Output::Json | Output::Yaml => output::print_document(&view, output),
        Output::Jsonl => output::print_json_line(&view),
        Output::Ids => output::print_line(&output::printable(&view.job.id)),
    }
}

/// Follows a job until it is over, or waits for a person.
async fn watch(client: &Client, id: JobId, output: Output) -> Result<(), Failure> {
    if matches!(output, Output::Json | Output::Yaml) {
        return Err(Failure::usage("a stream is not one document: use -o jsonl"));
    }
    let mut seen = None;
    live::follow(
        client,
        &format!("/jobs/{id}/events"),
        |event| {
            if !["progress", "end"].contains(&event.event.as_str()) {
                // Newer servers may say more.
                return Ok(Wants::More);
            }
            let view: Told<JobView> = live::data(event)?;
            match output {
                Output::Jsonl => output::print_json_line(&view)?,
                Output::Ids => output::print_line(&output::printable(&view.job.id))?,
                Output::Table | Output::Json | Output::Yaml => output::print_line(&progress(&view.job))?,
            }
            let rests = view.job.state != "running";
            seen = Some((view.job.sagas, view.job.done));
            Ok(if rests { Wants::NoMore } else { Wants::More })
        },
        output::note,
    )
    .await?;
    match seen {
        Some((sagas, done)) if done < sagas => {
            Err(Failure::new(Exit::Partial, format!("{done} of {sagas} took the act")))
        }
        Some(_) | None => Ok(()),
    }
}

fn progress(job: &Job) -> String {
    let Job { state, sagas, done, refused, vanished, trouble, .. } = job;
    let stands = trouble.as_ref().map_or_else(String::new, |why| format!("; stands: {}", output::printable(why)));
    format!("{}: {done} of {sagas} done, {refused} refused, {vanished} vanished{stands}", words(state))
}

async fn items(client: &Client, id: JobId, outcome: Option<&str>, limit: u32, output: Output) -> Result<(), Failure> {
    let query: Vec<_> = outcome.iter().map(|outcome| ("outcome", (*outcome).to_owned())).collect();
    let wanted = if limit == 0 { usize::MAX } else { limit as usize };
    let (items, more) = client.list::<Told<Item>>(&format!("/jobs/{id}/items"), &query, wanted).await?;
    match output {
        Output::Table if items.is_empty() => output::note("no sagas"),
        Output::Table => output::print_line(&item_table(&items))?,
        Output::Json | Output::Yaml => output::print_document(&items, output)?,
        Output::Jsonl => items.iter().try_for_each(output::print_json_line)?,
        Output::Ids => items.iter().try_for_each(|item| output::print_line(&output::printable(&item.saga_id)))?,
    }
    say_more(more, limit);
    Ok(())
}

fn say_more(more: bool, limit: u32) {
    if more {
        output::note(&format!("there are more than {limit}; raise --limit, or --limit 0 for all"));
    }
}

fn print(jobs: &[Told<Job>], output: Output) -> Result<(), Failure> {
    match output {
        Output::Table => output::print_line(&table(jobs.iter().map(|job| &**job))),
        Output::Json | Output::Yaml => output::print_document(jobs, output),
        Output::Jsonl => jobs.iter().try_for_each(output::print_json_line),
        Output::Ids => jobs.iter().try_for_each(|job| output::print_line(&output::printable(&job.id))),
    }
}

fn table<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> String {
    let rows = jobs.into_iter().map(|job| {
        vec![
            output::printable(&job.id),
            output::printable(&job.action),
            output::printable(&job.state),
            job.sagas.to_string(),
            job.done.to_string(),
            job.refused.to_string(),
            job.vanished.to_string(),
            job.sagas.saturating_sub(job.done + job.refused + job.vanished).to_string(),
            output::time(job.created_at),
        ]
    });
    output::table(&["ID", "ACT", "STATE", "SAGAS", "DONE", "REFUSED", "VANISHED", "LEFT", "MADE"], rows)
}

fn item_table(items: &[Told<Item>]) -> String {
    let rows = items.iter().map(|item| {
        let text = |text: &Option<String>| output::printable(text.as_deref().unwrap_or("-"));
        let outcome = match item.outcome.as_str() {
            "refused" => format!("refused: {}", text(&item.code)),
            other => output::printable(other),
        };
        vec![item.place.to_string(), output::printable(&item.saga_id), outcome, text(&item.message)]
    });
    output::table(&["PLACE", "ID", "RESULT", "WHY"], rows)
}

fn print_preview(preview: &Told<Preview>, output: Output) -> Result<(), Failure> {
    if output != Output::Table {
        return output::print_json_line(preview);
    }
    let rows = preview.groups.iter().map(|group| {
        vec![
            output::printable(&format!("{} v{}", group.name, group.version)),
            output::printable(&group.status),
            output::printable(group.step.as_deref().unwrap_or("-")),
            output::printable(group.code.as_deref().unwrap_or("-")),
            group.sagas.to_string(),
        ]
    });
    if !preview.groups.is_empty() {
        output::print_line(&output::table(&["NAME", "STATUS", "STEP", "ERROR", "SAGAS"], rows))?;
    }
    if preview.sagas > JOB_SAGAS_MAX {
        output::note(&format!("more than {JOB_SAGAS_MAX} sagas: too many for one job"));
    } else {
        output::note(&format!("{} sagas; nothing was done", preview.sagas));
    }
    Ok(())
}
