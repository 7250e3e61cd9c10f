//! `sagactl password`: a new password, for the present one or for a code of an admin. Neither is ever an argument, which
//! histories and other people's process lists would keep.

use contract::user::{ChangePassword, ResetPassword};

use crate::{args, client::Client, failure::Failure, output, secrets};

/// Runs the command.
pub(crate) async fn run(client: &Client, asked_for: args::Password) -> Result<(), Failure> {
    let args::Password { reset, password_stdin } = asked_for;
    match reset {
        None => {
            let (password, new_password) = secrets(password_stdin, "Present password: ")?;
            client.change_password(&ChangePassword { password, new_password }).await?;
            output::note("the password was changed, and all other logins have ended");
        }
        Some(email) => {
            let (code, new_password) = secrets(password_stdin, "Code of an admin: ")?;
            client.reset_password(&ResetPassword { email, code, new_password }).await?;
            output::note("the password is set, and all logins have ended: log in with `sagactl login --email ...`");
        }
    }
    Ok(())
}

/// The present secret, and the new password, which a person at a terminal types twice.
fn secrets(from_stdin: bool, prompt: &str) -> Result<(String, String), Failure> {
    let first = secrets::secret(from_stdin, prompt)?;
    let new = secrets::secret(from_stdin, "New password: ")?;
    if from_stdin || secrets::asked("The same again: ")? == new {
        Ok((first, new))
    } else {
        Err(Failure::usage("the two new passwords are not the same; nothing was changed"))
    }
}
