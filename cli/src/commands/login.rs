//! `sagactl login` and `logout`.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use contract::Page;
use serde::de::IgnoredAny;

use super::device_login::device_login;
use crate::{
    args::{self, Output},
    client::Client,
    failure::{Exit, Failure},
    output,
    session::{Session, Store},
    stops::Stops,
};

/// The longest password read from stdin, in bytes: what the door accepts, with room for the line's end.
const PASSWORD_BYTES_MAX: u64 = 1024;

pub(crate) async fn login(client: &Client, login: args::Login, output: Output) -> Result<(), Failure> {
    let store = store()?;
    let session = match login.email {
        Some(email) => password_login(client, email, login.password_stdin).await?,
        None if !login.device && !io::stdin().is_terminal() => {
            return Err(Failure::usage("no terminal: pass --device, or --email and --password-stdin"));
        }
        None => device_login(client, output).await?,
    };
    let (token, ends_at) = (session.access_token.clone(), session.ends_at);
    store.lock()?.save(client.base(), session)?;
    let until = ends_at.map(|at| format!(" until {}", output::time(at))).unwrap_or_default();
    output::note(&format!("logged in at {}{until}", client.base()));
    // A client's login is a login, but sagactl can do nothing with it: better said now than at the first command.
    let probe = Client::new(client.base(), Some(&token), Stops::default())?;
    match probe.get::<Page<IgnoredAny>>("/sagas", &[("page_size", "1".to_owned())]).await {
        Err(failure) if failure.exit == Exit::Auth => {
            Err(Failure::new(Exit::Auth, format!("this account cannot operate: {failure}")))
        }
        _ => Ok(()),
    }
}

async fn password_login(client: &Client, email: String, from_stdin: bool) -> Result<Session, Failure> {
    let Typed { first: password, second: code } = typed(from_stdin, "Password: ")?;
    let mut login = contract::user::Login { email, password, code };
    match client.login(&login).await {
        Err(failure) if failure.code == "second_factor_required" && !from_stdin => {
            login.code = Some(asked("Code of the second factor: ")?);
            client.login(&login).await
        }
        ended => ended,
    }
}

/// Ends the stored login on the server, and forgets it whatever the server says.
pub(crate) async fn logout(client: &Client) -> Result<(), Failure> {
    let store = store()?;
    let locked = store.lock()?;
    let Some(session) = locked.load(client.base())? else {
        output::note(&format!("there was no login for {}", client.base()));
        return Ok(());
    };
    let told = client.log_out(&session).await;
    locked.forget(client.base())?;
    told.map_err(|failure| {
        Failure::error(format!("the stored login is forgotten here, and has not ended there: {failure}"))
    })?;
    output::note(&format!("logged out of {}", client.base()));
    Ok(())
}

fn store() -> Result<Store, Failure> {
    Store::from_environment()
        .ok_or_else(|| Failure::error("nowhere to keep a login: neither XDG_CONFIG_HOME nor HOME is set"))
}

/// A password from stdin, or from the person at the terminal.
pub(crate) fn password(from_stdin: bool) -> Result<String, Failure> {
    typed(from_stdin, "Password: ").map(|typed| typed.first)
}

/// The secrets that were given in one go.
pub(crate) struct Typed {
    pub(crate) first: String,
    /// The second line of stdin, when it has one.
    pub(crate) second: Option<String>,
}

/// Secrets from stdin, one a line, or the first one from the person at the terminal.
pub(crate) fn typed(from_stdin: bool, prompt: &str) -> Result<Typed, Failure> {
    if from_stdin {
        let mut text = String::new();
        io::stdin().take(PASSWORD_BYTES_MAX).read_to_string(&mut text).map_err(|error| unreadable(&error))?;
        let mut lines = text.lines().map(str::to_owned);
        return Ok(Typed { first: lines.next().unwrap_or_default(), second: lines.next() });
    }
    asked(prompt).map(|first| Typed { first, second: None })
}

/// The next secret: the next line of stdin, or what the person at the terminal types.
pub(crate) fn next(from_stdin: bool, prompt: &str) -> Result<String, Failure> {
    if !from_stdin {
        return asked(prompt);
    }
    // The standard library keeps what was read beyond the line for the next one.
    let mut line = String::new();
    io::stdin().lock().take(PASSWORD_BYTES_MAX).read_line(&mut line).map_err(|error| unreadable(&error))?;
    if line.is_empty() {
        return Err(Failure::usage(format!("stdin has ended: {} is missing", prompt.trim_end_matches([':', ' ']))));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A secret from the person at the terminal.
pub(crate) fn asked(prompt: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("no terminal to ask for the password on: pass --password-stdin"));
    }
    rpassword::prompt_password(prompt).map_err(|error| unreadable(&error))
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::error(format!("cannot read the password: {error}"))
}
