//! `sagactl login` and `logout`.

use std::io::{self, IsTerminal as _};

use contract::Page;
use serde::de::IgnoredAny;

use super::device_login::device_login;
use crate::{
    args::{self, Output},
    client::Client,
    failure::{Exit, Failure},
    output, secrets,
    session::{Session, Store},
    stops::Stops,
};

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
    let password = secrets::secret(from_stdin, "Password: ")?;
    let code = if from_stdin { secrets::line_of_stdin()? } else { None };
    let mut login = contract::user::Login { email, password, code };
    match client.login(&login).await {
        Err(failure) if failure.code == "second_factor_required" && !from_stdin => {
            login.code = Some(secrets::asked("Code of the second factor: ")?);
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
