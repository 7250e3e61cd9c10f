//! The flags of `sagactl second-factor`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum SecondFactor {
    /// Show whether your second factor is on, since when, and how many recovery codes are left
    #[command(after_help = "\
Examples:
  sagactl second-factor show
  sagactl second-factor show -o json | jq .recovery_codes_left")]
    Show,
    /// Set a second factor up: its secret for an app, then the first code, then the recovery codes
    #[command(after_help = "\
Examples:
  sagactl second-factor on
  coproc FACTOR { sagactl second-factor on --password-stdin -o jsonl; }

The secret and the recovery codes are printed once, the secret also as a QR code where stdout is a terminal. With
--password-stdin the password is the first line of stdin, and the code, once the secret was printed, the second one.")]
    On(Proof),
    /// Switch your second factor off
    #[command(after_help = "\
Examples:
  sagactl second-factor off
  printf '%s\\n%s' \"$PASSWORD\" \"$CODE\" | sagactl second-factor off --password-stdin")]
    Off(Proof),
    /// Have new recovery codes in place of all of before
    #[command(
        name = "renew-codes",
        after_help = "\
Examples:
  sagactl second-factor renew-codes
  printf '%s\\n%s' \"$PASSWORD\" \"$CODE\" | sagactl second-factor renew-codes --password-stdin -o json

The recovery codes of before are void at once. Those of now are printed once."
    )]
    RenewCodes(Proof),
}

/// The way in which password and code are given: never as arguments, which histories and process lists would keep.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Proof {
    /// Read the password and the code from stdin, one a line, instead of asking for them
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

impl SecondFactor {
    /// True for what changes nothing.
    pub(crate) const fn only_reads(&self) -> bool {
        match self {
            Self::Show => true,
            Self::On(_) | Self::Off(_) | Self::RenewCodes(_) => false,
        }
    }
}
