//! The flags of `sagactl password`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Password {
    /// Set a password for the account with this address by a code that an admin has handed over
    #[arg(long, value_name = "EMAIL")]
    pub(crate) reset: Option<String>,
    /// Read the present password, or the code, and the new password from stdin, one a line
    #[arg(long)]
    pub(crate) password_stdin: bool,
}
