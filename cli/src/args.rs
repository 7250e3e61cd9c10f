//! The command line: every flag, its help and the examples, in one place.

mod acting;
mod approvals;
mod dead_letters;
mod figures;
mod global;
mod jobs;
mod lists;
mod migrations;
mod password;
mod pauses;
mod people;
mod quarantine;
mod records;
mod repairs;
mod reveal;
mod second_factor;
mod timeline;
mod waits;
mod watching;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use contract::{
    StepName,
    saga::{Action, PauseClock, PausedHolds, SagaStatus},
};

pub(crate) use self::{
    acting::{Act, Consent, Pace, Selection},
    approvals::Approvals,
    dead_letters::{DeadLetters, Letters},
    figures::Throughput,
    global::{Global, Output},
    jobs::{JobAct, JobCreate, JobRate, Jobs},
    lists::{Filters, List},
    migrations::{Migrate, Migrations},
    password::Password,
    pauses::Pauses,
    people::People,
    quarantine::Quarantine,
    records::{Between, Journal},
    repairs::{Edit, Resolve, Retry, Skip},
    reveal::Reveal,
    second_factor::{Proof, SecondFactor},
    timeline::Timeline,
    waits::{Signal, Timer},
    watching::Watch,
};

/// How many sagas a listing fetches unless told otherwise: more than a person reads, less than a mistake costs.
const LIST_LIMIT_DEFAULT: u32 = 500;

const EXIT_CODES: &str = "\
Exit codes:
  0    everything was done
  1    error
  2    wrong usage; nothing was done
  3    no token, an expired one, or not an operator's
  4    no such saga or dead letter
  5    partial: of several, some were done and some were not
  6    conflict: the saga does not allow it where it stands now
  7    the change may have taken effect: its answer was lost, or none came
  130  interrupted

Data goes to stdout, everything else to stderr.";

/// Inspects and repairs sagas.
#[derive(Debug, Parser)]
#[command(name = "sagactl", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show how everything does: what needs a person, how many sagas stand where, failures, domains
    #[command(after_help = "\
Examples:
  sagactl top
  sagactl top -o json | jq '.counts.groups'

On a terminal it looks again every two seconds; enter follows the selected saga. Elsewhere it prints one look.")]
    Top,
    /// Show how many sagas ended over time, and how long they took
    #[command(after_help = "\
Examples:
  sagactl throughput
  sagactl throughput --minutes 1440 --step-minutes 30
  sagactl throughput -o json | jq '.points[-1]'

A row has a sign for each interval, from ' ' for none over . : - = + * to # for the most of the row.")]
    Throughput(Throughput),
    /// Show the orchestrators and workers that run, in which versions, and the ways to the domains
    #[command(after_help = "\
Examples:
  sagactl processes
  sagactl processes -o json | jq -r '.workers[].version' | sort | uniq -c

All of them are asked when the command runs. A consumer of an unknown version belongs to an earlier program, which does not
hear the question, or gave no answer in time.")]
    Processes,
    /// List sagas, newest first
    #[command(after_help = "\
Examples:
  sagactl list --by-hold --holds-before 2026-12-01T09:00:00Z
  sagactl list --status needs_attention
  sagactl list --status running --status compensating --since 2h
  sagactl list --error authorize-payment/card_declined -o ids | sagactl retry - --reason 'issuer is back' --yes")]
    List(List),
    /// Group failures by definition, step and code, and count them over time
    #[command(after_help = "\
Examples:
  sagactl errors
  sagactl errors --name order -o json | jq '.[0].days'
  sagactl list --name order --error hold-rooms/room_sold_out")]
    Errors(Errors),
    /// List the sagas that can be carried out, with the linter's findings about them
    #[command(after_help = "\
Examples:
  sagactl definitions
  sagactl definitions --name order -o json | jq '.[].findings'")]
    Definitions(DefinitionNames),
    /// Show where a saga stands, step by step
    #[command(after_help = "\
Examples:
  sagactl show saga_0192f0c1a2b37c4d8e5f60718293a4b5
  sagactl list --business-key ord_0192f0c1a2b37c4d8e5f60718293a4b5 -o ids | sagactl show -
  sagactl show SAGA -o json | jq .cause")]
    Show(Selection),
    /// Show what is personal in a saga's documents, which is masked elsewhere
    #[command(after_help = "\
Examples:
  sagactl reveal SAGA --reason 'the hotel asks for the name'
  sagactl reveal SAGA --field guest_name --field email --reason 'ticket 4711'
  sagactl reveal SAGA --reason 'ticket 4711' -o json | jq .input

The audit log keeps who looked, at which saga, and why.")]
    Reveal(Reveal),
    /// Say why a saga is not moving, and what can be done about it now
    #[command(after_help = "\
Examples:
  sagactl explain SAGA
  sagactl explain SAGA -o json | jq '.reasons[0]'")]
    Explain(One),
    /// Show where a saga's time went: attempts and waits of its steps, idle time folded
    #[command(after_help = "\
Examples:
  sagactl timeline SAGA
  sagactl timeline SAGA --to-scale
  sagactl timeline SAGA -o json | jq '.spans[] | select(.spent == \"retry\")'")]
    Timeline(Timeline),
    /// Show a saga with the sagas that it started
    #[command(after_help = "\
Examples:
  sagactl tree SAGA
  sagactl tree SAGA -o ids | sagactl show -")]
    Tree(One),
    /// Follow a saga live until it ends
    #[command(after_help = "\
Examples:
  sagactl watch SAGA
  sagactl watch SAGA -o jsonl | jq -r .status
  sagactl watch SAGA --exit-status && echo paid

A lost connection is taken up again where it broke off.")]
    Watch(Watch),
    /// Wait until sagas have ended, without a word
    #[command(after_help = "\
Examples:
  sagactl wait SAGA --timeout 600
  sagactl list --status running -o ids | sagactl wait -

Ends with 0 when all of them are completed, with 1 when none is or the time is over, with 5 when some are.")]
    Wait(Selection),
    /// Print a saga's journal: every committed decision
    #[command(after_help = "\
Examples:
  sagactl journal SAGA
  sagactl journal SAGA -o jsonl | jq '.entries[]'
  sagactl journal SAGA --diff 4..7")]
    Journal(Journal),
    /// Print a saga with its journal as a line of an export, for other programs
    #[command(after_help = "\
Examples:
  sagactl export SAGA
  sagactl list --business-key ord_0192f0c1a2b37c4d8e5f60718293a4b5 -o ids | sagactl export - > sagas.jsonl")]
    Export(Selection),
    /// List the weeks of history that left the journal, and their files
    Exports,
    /// Send again, now, what is stuck or waiting
    #[command(after_help = "\
Examples:
  sagactl retry SAGA --reason 'the provider is back'
  sagactl retry SAGA --step capture-payment --reason 'card limit was raised'
  sagactl list --status needs_attention -o ids | sagactl retry - --reason 'after the outage' --yes")]
    Retry(Retry),
    /// Turn a saga around: undo what it did (refused from its point of no return on)
    #[command(after_help = "\
Examples:
  sagactl cancel SAGA --reason 'the client called'")]
    Cancel(Act),
    /// Say what a step's outcome was, instead of its worker
    #[command(after_help = "\
Examples:
  sagactl skip SAGA --step notify-user --reply '{}' --reason 'told by phone'

The reply must read as the step's reply type; see `sagactl show SAGA -o json`. Only a step that is stuck or waits for
its next attempt can be skipped, unless --force is given.")]
    Skip(Skip),
    /// Let another version of its definition take a saga over, where it could have come as far under it
    #[command(after_help = "\
Examples:
  sagactl migrations order 2
  sagactl migrate SAGA --to 2 --reason 'version 2 asks the bank'")]
    Migrate(Migrate),
    /// List which running sagas a version of their definition could take over, and what is in the way of the others
    #[command(after_help = "\
Examples:
  sagactl migrations order 2
  sagactl migrations order 2 -o ids | sagactl migrate - --to 2 --reason 'version 1 ends' --yes

Ids are printed of those that could be taken over.")]
    Migrations(Migrations),
    /// Change the command of a step that failed, and send it
    #[command(after_help = "\
Examples:
  sagactl edit SAGA --step hold-rooms --patch '{\"travellers\": 2}' --reason 'one stays at home' --dry-run
  sagactl edit SAGA --step hold-rooms --patch '{\"travellers\": 2}' --reason 'one stays at home' --if-head 7

The patch names the fields that change (RFC 7396: an object is merged, null removes a field), and the outcome must read
as the command's type. --dry-run shows the difference, and the record for --if-head: an edit takes effect only on the saga
that was looked at.")]
    Edit(Edit),
    /// Say that a compensation which is stuck was done by hand
    #[command(after_help = "\
Examples:
  sagactl resolve SAGA --step hold-rooms --evidence 'released by phone, hotel ref. 8812' --reason 'their system is down'

The saga goes on undoing. Say with skip what the reply of a step was that took effect; with resolve that a person undid it.")]
    Resolve(Resolve),
    /// Give a saga up as it is; nothing more is done or undone, and its order or booking is closed
    #[command(after_help = "\
Examples:
  sagactl abandon SAGA --reason 'settled by hand, ticket 4711'")]
    Abandon(Act),
    /// Have a saga send nothing new until it is resumed
    #[command(after_help = "\
Examples:
  sagactl pause SAGA --reason 'the hotel checks the booking'
  sagactl pause SAGA --clock run --holds lapse --reason 'duplicate of SAGA2, to be decided on Monday'
  sagactl list --name order --status running -o ids | sagactl pause - --reason 'price error' --yes

What is under way comes to its end. What the saga holds is extended meanwhile, or undone in time, unless --holds lapse.")]
    Pause(Pause),
    /// Let a paused saga go on
    #[command(after_help = "\
Examples:
  sagactl resume SAGA --reason 'checked'
  sagactl list --paused -o ids | sagactl resume - --reason 'the price is right again' --yes")]
    Resume(Act),
    /// Print what an action would send and where it would end, without doing it
    #[command(
        subcommand,
        after_help = "\
Examples:
  sagactl plan cancel SAGA
  sagactl list --status needs_attention -o ids | sagactl plan retry -
  sagactl cancel SAGA --reason 'the client called' --dry-run

The same plan is printed by retry, cancel, skip, migrate and abandon with --dry-run. Commands marked `!` cannot be undone."
    )]
    Plan(Plan),
    /// List the acts of operators, and prove that none was altered
    #[command(subcommand)]
    Audit(Audit),
    /// Act on many sagas, on the server: canary first, at a pace, with a result for each
    #[command(subcommand)]
    Jobs(Jobs),
    /// Pause a worker domain, a definition and version, or one of its steps
    #[command(subcommand)]
    Pauses(Pauses),
    /// The sagas that are left alone, because they cannot be read or written
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Tell a saga that something happened outside, for a step that waits for it
    #[command(after_help = "\
Examples:
  sagactl signal SAGA approval --payload '{\"approved_by\": \"ann\"}'
  sagactl signal SAGA card-approved --payload \"$EVENT\" --signal-id evt_1Nx7

A signal that comes before its step is reached is kept for it. Sent again under the same id it changes nothing.")]
    Signal(Signal),
    /// List the signals that a saga waits for, and those that it has heard
    #[command(after_help = "\
Examples:
  sagactl signals SAGA
  sagactl signals SAGA -o jsonl | jq -r 'select(.status == \"waiting\") | .signal'")]
    Signals(One),
    /// List the times at which a saga goes on by itself
    #[command(after_help = "\
Examples:
  sagactl timers SAGA
  sagactl timers SAGA -o jsonl | jq -r .at")]
    Timers(One),
    /// Fire or reschedule a step's timer
    #[command(subcommand)]
    Timer(Timer),
    /// Messages that nobody could handle
    #[command(name = "dead-letters", subcommand)]
    DeadLetters(DeadLetters),
    /// Log in as an operator and remember it
    #[command(after_help = "\
Examples:
  sagactl login
  sagactl login --device -o json | jq -r .verification_uri_complete
  sagactl login --email operator@sojourn.example
  printf %s \"$PASSWORD\" | sagactl login --email operator@sojourn.example --password-stdin
  printf '%s\\n%s' \"$PASSWORD\" \"$CODE\" | sagactl login --email operator@sojourn.example --password-stdin

Without an address it shows a code, which you approve in a browser where you are logged in, on this machine or
another one (RFC 8628). With one, a code of the second factor is asked for where there is one; on stdin it is the second line.
The session is kept in $XDG_CONFIG_HOME/sojourn/sessions.json (or ~/.config/sojourn), readable by you alone.")]
    Login(Login),
    /// End the stored login for this address
    Logout,
    /// Change your password; all your other logins end
    #[command(after_help = "\
Examples:
  sagactl password
  sagactl password --reset operator@sojourn.example

Passwords are asked for at the terminal.")]
    Password(Password),
    /// Look after your second factor; each change ends all your other logins
    #[command(name = "second-factor", subcommand)]
    SecondFactor(SecondFactor),
    /// Show who is logged in, in which role, and until when
    Whoami,
    /// Decide on acts of colleagues that need a second operator
    #[command(subcommand)]
    Approvals(Approvals),
    /// Manage the people of the agency, as an admin
    #[command(subcommand)]
    People(People),
    /// Print a shell's completion script
    #[command(after_help = "\
Examples:
  sagactl completions bash > /etc/bash_completion.d/sagactl
  source <(sagactl completions zsh)")]
    Completions {
        /// The shell that completes
        shell: clap_complete::Shell,
    },
    /// Write the manual: a page for each command, into a folder
    #[command(after_help = "\
Examples:
  sagactl man /usr/local/share/man/man1")]
    Man {
        /// The folder, which must be there
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Errors {
    /// Only failures of this definition, such as `order`
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The most groups to fetch; 0 for all of them
    #[arg(long, default_value_t = LIST_LIMIT_DEFAULT)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct DefinitionNames {
    /// Only the versions of this saga, such as `order`
    #[arg(long)]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// The saga's id
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) act: Act,
    #[command(flatten)]
    pub(crate) rules: PauseRules,
}

/// The rules of a pause.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct PauseRules {
    /// Whether deadlines, timers and waits stand meanwhile, or run on
    #[arg(long, value_enum, default_value_t = Clock::Freeze)]
    clock: Clock,
    /// Whether what is held is kept, or undone in time, or lapses
    #[arg(long, value_enum, default_value_t = Holds::Keep)]
    holds: Holds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Clock {
    Freeze,
    Run,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Holds {
    Keep,
    Lapse,
}

impl PauseRules {
    /// The action that they ask for.
    pub(crate) const fn action(self) -> Action {
        let clock = match self.clock {
            Clock::Freeze => PauseClock::Freeze,
            Clock::Run => PauseClock::Run,
        };
        let holds = match self.holds {
            Holds::Keep => PausedHolds::Keep,
            Holds::Lapse => PausedHolds::Lapse,
        };
        Action::Pause { clock, holds }
    }
}

/// The action that is planned.
#[derive(Debug, Subcommand)]
pub(crate) enum Plan {
    /// Plan of `sagactl retry`
    Retry {
        #[command(flatten)]
        selection: Selection,
        /// Only this step
        #[arg(long)]
        step: Option<StepName>,
    },
    /// Plan of `sagactl cancel`
    Cancel {
        #[command(flatten)]
        selection: Selection,
    },
    /// Plan of `sagactl skip`
    Skip {
        #[command(flatten)]
        selection: Selection,
        /// The step that is skipped
        #[arg(long)]
        step: StepName,
        /// Skip it also while its command is under way
        #[arg(long)]
        force: bool,
        /// Its reply, as JSON
        #[arg(long, value_parser = parse_json)]
        reply: serde_json::Value,
    },
    /// Plan of `sagactl migrate`
    Migrate {
        #[command(flatten)]
        selection: Selection,
        /// The version that takes it over
        #[arg(long, value_name = "VERSION")]
        to: u32,
    },
    /// Plan of `sagactl abandon`
    Abandon {
        #[command(flatten)]
        selection: Selection,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List acts, newest first, with their outcome
    #[command(after_help = "\
Examples:
  sagactl audit list --target SAGA
  sagactl audit list --actor usr_0192f0c1a2b37c4d8e5f60718293a4b5 --act cancel")]
    List {
        /// Only of this operator
        #[arg(long)]
        actor: Option<String>,
        /// Only about this saga, or this address such as dead-letters/7
        #[arg(long)]
        target: Option<String>,
        /// Only this act, such as cancel, release, redrive, start
        #[arg(long)]
        act: Option<String>,
        /// The most rows to list; 0 for all of them
        #[arg(long, default_value_t = LIST_LIMIT_DEFAULT)]
        limit: u32,
    },
    /// Check the chain of hashes from the first row to the last
    #[command(after_help = "\
Examples:
  sagactl audit verify
  sagactl audit verify --head 4711:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

A head that was noted before, from an earlier verification or from the orchestrators' logs, shows also that the log was
not written anew from some row on.")]
    Verify {
        /// A row's number and hash as they were noted before
        #[arg(long, value_name = "NUMBER:HASH")]
        head: Option<String>,
    },
    /// Check the chain of hashes in exported files, without a server
    #[command(after_help = "\
Examples:
  sagactl audit verify-export audit-*.jsonl.gz

The files are read in the order given. The chain may begin with any row, and must go on from each file to the next.")]
    VerifyExport {
        /// Files of exports, the oldest first
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Log in with a code that you approve in a browser: the way without --email on a terminal
    #[arg(long, conflicts_with = "email")]
    pub(crate) device: bool,
    /// Log in with a password, as the operator with this e-mail address
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// Read the password from stdin instead of asking for it
    #[arg(long, requires = "email")]
    pub(crate) password_stdin: bool,
}

fn parse_status(text: &str) -> Result<SagaStatus, String> {
    let wanted = text.replace('-', "_");
    SagaStatus::ALL.into_iter().find(|status| status.as_str() == wanted).ok_or_else(|| {
        let known: Vec<_> = SagaStatus::ALL.iter().map(|status| status.as_str()).collect();
        format!("known are {}", known.join(", "))
    })
}

fn parse_json(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn statuses_are_read_with_hyphens_too() {
        assert_eq!(parse_status("needs-attention"), Ok(SagaStatus::NeedsAttention));
        assert!(parse_status("stuck").unwrap_err().contains("needs_attention"));
    }
}
