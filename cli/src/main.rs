//! `sagactl`: what operators inspect and repair sagas with. It speaks with the gateway only, under `/ops/api`.

mod args;
mod client;
mod commands;
mod failure;
mod live;
mod output;
mod profile;
mod seen;
mod select;
mod session;
mod tree;

use std::{path::Path, process::ExitCode};

use chrono::{DateTime, Utc};
use clap::{CommandFactory as _, Parser as _};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{Cli, Command},
    client::Client,
    failure::{Exit, Failure},
    profile::Settings,
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
    let interrupted = interruption();
    let Cli { global, command } = cli;
    let global = profile::settle(global)?;
    match command {
        Command::Completions { shell } => completions(shell),
        Command::Man { folder } => manual(&folder),
        // These stop between two items and still say what they did.
        Command::Retry(retry) => commands::act::retry(&client(&global)?, retry, global.output, &interrupted).await,
        Command::Cancel(act) => commands::act::cancel(&client(&global)?, act, global.output, &interrupted).await,
        Command::Skip(skip) => commands::act::skip(&client(&global)?, skip, global.output, &interrupted).await,
        Command::Edit(edit) => commands::act::edit(&client(&global)?, edit, global.output, &interrupted).await,
        Command::Resolve(resolve) => {
            commands::act::resolve(&client(&global)?, resolve, global.output, &interrupted).await
        }
        Command::Migrate(migrate) => {
            commands::act::migrate(&client(&global)?, migrate, global.output, &interrupted).await
        }
        Command::Abandon(act) => commands::act::abandon(&client(&global)?, act, global.output, &interrupted).await,
        Command::Pause(pause) => commands::act::pause(&client(&global)?, pause, global.output, &interrupted).await,
        Command::Resume(act) => commands::act::resume(&client(&global)?, act, global.output, &interrupted).await,
        Command::Timer(timer) => commands::act::timer(&client(&global)?, timer, global.output, &interrupted).await,
        // What has been sent is always waited for.
        Command::Signal(signal) => commands::waits::signal(&client(&global)?, signal, global.output, now()).await,
        Command::DeadLetters(args::DeadLetters::Redrive { selection, consent }) => {
            commands::dead_letters::redrive(&client(&global)?, &selection, &consent, global.output, &interrupted).await
        }
        Command::Jobs(jobs) if !jobs.only_reads() => {
            commands::jobs::run(&client(&global)?, jobs, global.output, now()).await
        }
        Command::Pauses(pauses) if !pauses.only_reads() => {
            commands::pauses::run(&client(&global)?, pauses, global.output).await
        }
        Command::Approvals(approvals) if !approvals.only_reads() => {
            commands::approvals::run(&client(&global)?, approvals, global.output).await
        }
        Command::People(people) if !people.only_reads() => {
            commands::people::run(&client(&global)?, people, global.output).await
        }
        reading => tokio::select! {
            ended = read(&global, reading) => ended,
            () = interrupted.cancelled() => Err(Failure::interrupted()),
        },
    }
}

/// The commands that change nothing on the other side: they may stop anywhere.
async fn read(global: &Settings, command: Command) -> Result<(), Failure> {
    let output = global.output;
    match command {
        Command::List(list) => commands::list::run(&client(global)?, list, output, now()).await,
        Command::Show(ids) => commands::show::run(&client(global)?, &ids, output).await,
        Command::Errors(errors) => commands::errors::run(&client(global)?, &errors, output).await,
        Command::Definitions(names) => commands::definitions::run(&client(global)?, &names, output).await,
        Command::Tree(one) => commands::tree::run(&client(global)?, &one, output).await,
        Command::Explain(one) => commands::explain::run(&client(global)?, &one, output).await,
        Command::Watch(watch) => commands::watch::run(&client(global)?, &watch, output).await,
        Command::Wait(wait) => commands::watch::wait(&client(global)?, &wait).await,
        Command::Plan(plan) => commands::plan::run(&client(global)?, plan, output).await,
        Command::Audit(audit) => commands::audit::run(&client(global)?, audit, output).await,
        Command::Jobs(jobs) => commands::jobs::run(&client(global)?, jobs, output, now()).await,
        Command::Pauses(pauses) => commands::pauses::run(&client(global)?, pauses, output).await,
        Command::Export(ids) => commands::export::sagas(&client(global)?, &ids).await,
        Command::Exports => commands::export::weeks(&client(global)?, output).await,
        Command::Journal(one) => commands::journal::run(&client(global)?, &one, output).await,
        Command::DeadLetters(args::DeadLetters::List { saga, waiting, limit }) => {
            commands::dead_letters::list(&client(global)?, saga.as_deref(), waiting, limit, output).await
        }
        Command::Migrations(asked) => commands::migrations::run(&client(global)?, &asked, output).await,
        Command::Timers(one) => commands::waits::timers(&client(global)?, &one, output).await,
        Command::Login(login) => commands::login::login(&client(global)?, login).await,
        Command::Approvals(approvals) => commands::approvals::run(&client(global)?, approvals, output).await,
        Command::People(people) => commands::people::run(&client(global)?, people, output).await,
        Command::Whoami => commands::people::whoami(&client(global)?, output).await,
        Command::Logout => commands::login::logout(&client(global)?),
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
        | Command::Completions { .. }
        | Command::Man { .. } => Err(Failure::error("this command is carried out elsewhere")),
    }
}

fn client(global: &Settings) -> Result<Client, Failure> {
    Client::new(&global.url, global.token.as_deref())
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

/// Cancelled by the first Ctrl-C; a second one, while a command winds up, ends the program at once.
fn interruption() -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancel.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
    });
    token
}

/// The one place where this program reads the clock; everything below takes the time as a value.
#[expect(
    clippy::disallowed_methods,
    reason = "the program's single reading of the clock; the kit would bring the servers' dependencies along"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}
