//! The flags of `sagactl people`.

use clap::{Args, Subcommand};
use contract::{UserId, user::Role};

use super::LIST_LIMIT_DEFAULT;

#[derive(Debug, Subcommand)]
pub(crate) enum People {
    /// List the people who are more than clients, those who came first at first
    #[command(after_help = "\
Examples:
  sagactl people list
  sagactl people list --role client --email zoe@example.com")]
    List {
        /// Only people with this role: client, viewer, operator or admin
        #[arg(long)]
        role: Option<Role>,
        /// Only the person with this e-mail address
        #[arg(long)]
        email: Option<String>,
        /// The most people to list; 0 for all of them
        #[arg(long, default_value_t = LIST_LIMIT_DEFAULT)]
        limit: u32,
    },
    /// Make a person with a role
    #[command(after_help = "\
Examples:
  sagactl people create --email ann@example.com --name 'Ann Li' --role operator --reason 'joins the night shift'

The password is asked for at the terminal, or read from stdin with --password-stdin.")]
    Create {
        /// The address to log in with
        #[arg(long)]
        email: String,
        /// The name to address the person by
        #[arg(long)]
        name: String,
        /// The role: viewer, operator or admin
        #[arg(long)]
        role: Role,
        /// Read the first password from stdin instead of asking for it
        #[arg(long)]
        password_stdin: bool,
        /// Why; it is kept in the audit log with your name
        #[arg(long)]
        reason: String,
    },
    /// Give a person another role
    #[command(
        name = "set-role",
        after_help = "\
Examples:
  sagactl people set-role usr_0192f0c1a2b37c4d8e5f60718293a4b5 viewer --reason 'audits us'

Access tokens of before are void within seconds. The session goes on, with the new role."
    )]
    SetRole {
        /// The person's id
        id: UserId,
        /// The role: client, viewer, operator or admin
        role: Role,
        /// Why; it is kept in the audit log with your name
        #[arg(long)]
        reason: String,
    },
    /// End a person's sessions, and refuse new ones
    Disable(Change),
    /// Let a person log in again
    Enable(Change),
    /// Make a code with which a person who forgot the password sets a new one
    #[command(after_help = "\
Examples:
  sagactl people reset usr_0192f0c1a2b37c4d8e5f60718293a4b5 --reason 'has forgotten it, known by voice'

The code is printed once; hand it over. It works once, for a day, at /ops/reset or with `sagactl password --reset EMAIL`.")]
    Reset(Change),
    /// Take a person's second factor away, whose phone and recovery codes are lost
    ClearSecondFactor(Change),
}

#[derive(Debug, Args)]
pub(crate) struct Change {
    /// The person's id
    pub(crate) id: UserId,
    /// Why; it is kept in the audit log with your name
    #[arg(long)]
    pub(crate) reason: String,
}

impl People {
    /// True for what changes nothing.
    pub(crate) const fn only_reads(&self) -> bool {
        match self {
            Self::List { .. } => true,
            Self::Create { .. }
            | Self::SetRole { .. }
            | Self::Disable(_)
            | Self::Enable(_)
            | Self::Reset(_)
            | Self::ClearSecondFactor(_) => false,
        }
    }
}
