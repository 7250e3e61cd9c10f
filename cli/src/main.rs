//! `sagactl`: what operators inspect and repair sagas with. It speaks with the gateway only, under `/ops/api`.

mod args;
mod bars;
mod call;
mod changes;
mod client;
mod commands;
mod failure;
mod live;
mod look;
mod output;
mod processes;
mod profile;
mod qr_code;
mod rows;
mod screen;
mod secrets;
mod seen;
mod select;
mod session;
mod stops;
mod tree;

use std::{path::Path, process::ExitCode};

use chrono::{DateTime, Utc};
use clap::{CommandFactory as _, Parser as _};
use contract::RequestId;

use crate::{
    args::{Cli, Command},
    call::Call,
    client::Client,
    failure::{Exit, Failure},
    profile::Settings,
    stops::Stops,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = run(cli).await;
    let failure = match ended {
        Ok(()) => Failure::new(Exit::Ok, ""),
        Err(failure) => failure,
    };
    if !failure.message.is_empty() {
        output::note(&format!("sagactl: {failure}"));
    }
    ExitCode::from(failure.exit.code())
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    let settings = profile::settle(global)?;
    let stops = Stops::listen(settings.timeout);
    let call = || call(&settings, &stops);
    match command {
        Command::Completions { shell } => completions(shell),
        Command::Man { folder } => manual(&folder),
        // These stop between two items and still say what they did.
        Command::Retry(retry) => commands::act::retry(&call()?, retry).await,
        Command::Cancel(act) => commands::act::cancel(&call()?, act).await,
        Command::Skip(skip) => commands::act::skip(&call()?, skip).await,
        Command::Edit(edit) => commands::act::edit(&call()?, edit).await,
        Command::Resolve(resolve) => commands::act::resolve(&call()?, resolve).await,
        Command::Migrate(migrate) => commands::act::migrate(&call()?, migrate).await,
        Command::Abandon(act) => commands::act::abandon(&call()?, act).await,
        Command::Pause(pause) => commands::act::pause(&call()?, pause).await,
        Command::Resume(act) => commands::act::resume(&call()?, act).await,
        Command::Timer(timer) => commands::act::timer(&call()?, timer).await,
        // What has been sent is always waited for.
        Command::Signal(signal) => commands::waits::signal(&call()?, signal).await,
        Command::DeadLetters(args::DeadLetters::Redrive { selection, consent, pace }) => {
            commands::dead_letters::redrive(&call()?, &selection, &consent, pace).await
        }
        Command::Quarantine(quarantine) if !quarantine.only_reads() => {
            commands::quarantine::run(&call()?, quarantine).await
        }
        Command::Jobs(jobs) if !jobs.only_reads() => commands::jobs::run(&call()?, jobs).await,
        Command::Pauses(pauses) if !pauses.only_reads() => {
            let Call { client, output, .. } = call()?;
            commands::pauses::run(&client, pauses, output).await
        }
        Command::Approvals(approvals) if !approvals.only_reads() => {
            let Call { client, output, .. } = call()?;
            commands::approvals::run(&client, approvals, output).await
        }
        Command::Password(password) => commands::password::run(&call()?.client, password).await,
        Command::SecondFactor(factor) if !factor.only_reads() => {
            let Call { client, output, .. } = call()?;
            commands::second_factor::run(&client, factor, output).await
        }
        Command::People(people) if !people.only_reads() => {
            let Call { client, output, .. } = call()?;
            commands::people::run(&client, people, output).await
        }
        reading => tokio::select! {
            biased;
            stop = stops.reached() => Err(stops.failure(stop)),
            ended = read(call()?, reading) => ended,
        },
    }
}

/// The commands that change nothing on the other side: they may stop anywhere.
async fn read(call: Call, command: Command) -> Result<(), Failure> {
    let (client, output) = (&call.client, call.output);
    match command {
        Command::List(list) => commands::list::run(client, list, output, call.now).await,
        Command::Show(selection) => commands::show::run(&call, &selection).await,
        Command::Reveal(reveal) => commands::reveal::run(client, &reveal, output).await,
        Command::Timeline(timeline) => commands::timeline::run(&call, &timeline).await,
        Command::Throughput(asked) => commands::throughput::run(client, &asked, output).await,
        Command::Processes => commands::processes::run(client, output).await,
        Command::Errors(errors) => commands::errors::run(client, &errors, output).await,
        Command::Definitions(names) => commands::definitions::run(client, &names, output).await,
        Command::Tree(one) => commands::tree::run(client, &one, output).await,
        Command::Explain(one) => commands::explain::run(client, &one, output).await,
        Command::Watch(watch) => commands::watch::run(&call, &watch).await,
        Command::Top => commands::top::run(&call).await,
        Command::Wait(selection) => commands::watch::wait(&call, &selection).await,
        Command::Plan(plan) => commands::plan::run(&call, plan).await,
        Command::Audit(audit) => commands::audit::run(client, audit, output).await,
        Command::Jobs(jobs) => commands::jobs::run(&call, jobs).await,
        Command::Pauses(pauses) => commands::pauses::run(client, pauses, output).await,
        Command::Quarantine(quarantine) => commands::quarantine::run(&call, quarantine).await,
        Command::Export(selection) => commands::export::sagas(&call, &selection).await,
        Command::Exports => commands::export::weeks(client, output).await,
        Command::Journal(journal) => commands::journal::run(client, &journal, output).await,
        Command::DeadLetters(args::DeadLetters::List { saga, waiting, limit }) => {
            commands::dead_letters::list(client, saga.as_deref(), waiting, limit, output).await
        }
        Command::Migrations(asked) => commands::migrations::run(client, &asked, output).await,
        Command::Timers(one) => commands::waits::timers(client, &one, output).await,
        Command::Signals(one) => commands::signals::run(client, &one, output).await,
        Command::Login(login) => commands::login::login(client, login, output).await,
        Command::Approvals(approvals) => commands::approvals::run(client, approvals, output).await,
        Command::SecondFactor(factor) => commands::second_factor::run(client, factor, output).await,
        Command::People(people) => commands::people::run(client, people, output).await,
        Command::Whoami => commands::people::whoami(client, output).await,
        Command::Logout => commands::login::logout(client).await,
        Command::Retry(_)
        | Command::Cancel(_)
        | Command::Skip(_)
        | Command::Migrate(_)
        | Command::Edit(_)
        | Command::Resolve(_)
        | Command::Abandon(_)
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::Signal(_)
        | Command::Timer(_)
        | Command::DeadLetters(args::DeadLetters::Redrive { .. })
        | Command::Password(_)
        | Command::Completions { .. }
        | Command::Man { .. } => Err(Failure::error("this command is carried out elsewhere")),
    }
}

fn call(settings: &Settings, stops: &Stops) -> Result<Call, Failure> {
    let client = Client::new(&settings.url, settings.token.as_deref(), stops.clone())?;
    Ok(Call { client, output: settings.output, stops: stops.clone(), now: now(), request: new_request() })
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sagactl", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

fn manual(folder: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::error(format!("cannot write the manual into {}: {error}", folder.display()));
    clap_mangen::generate_to(Cli::command(), folder).map_err(failed)
}

/// The one place where this program reads the clock; everything below takes the time as a value.
#[expect(
    clippy::disallowed_methods,
    reason = "the program's single reading of the clock; the kit would bring the servers' dependencies along"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}

/// The one place where this program makes an id; the names of its requests are made of it.
#[expect(
    clippy::disallowed_methods,
    reason = "the program's single id; the kit would bring the servers' dependencies along"
)]
fn new_request() -> RequestId {
    RequestId::from_uuid(uuid::Uuid::now_v7())
}
