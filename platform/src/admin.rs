//! `sojourn admin`: the acts about people that need the database, and nothing that runs.

use std::io::{IsTerminal as _, Read as _, stdin};

use anyhow::{Context, Result, bail};
use contract::user::{Register, Role};
use worker_user::admin::Admin;

use crate::{
    settings::{AdminTask, Cli},
    system::database,
};

/// The longest password read from stdin, in bytes: what the user domain takes, with room for the line's end.
const PASSWORD_BYTES_MAX: u64 = 1024;

/// Does the task. A private PostgreSQL is started for it, and stopped again.
pub(crate) async fn run(cli: &Cli, task: &AdminTask) -> Result<()> {
    let (mut postgres, url) = database(cli).await?;
    let done = act(&url, task).await;
    if let Some(postgres) = &mut postgres {
        postgres.stop().await;
    }
    done
}

async fn act(url: &str, task: &AdminTask) -> Result<()> {
    let admin = Admin::open(url, kit::clock::system()).await.context("the user domain's database cannot be opened")?;
    match task {
        AdminTask::CreateOperator { email, name, role, password_stdin } => {
            if *role == Role::Client {
                bail!("a client registers at the door; the roles of operators are viewer, operator and admin");
            }
            let person = Register { email: email.clone(), password: password(*password_stdin)?, name: name.clone() };
            let user_id = admin.create_person(person, *role).await?;
            println!("{user_id} is made, as {}. Next: sagactl login --email {email}", role.as_str());
        }
        AdminTask::DisableDemonstration => {
            let count = admin.disable_demonstration().await?;
            println!("{count} people of the demonstration are disabled.");
        }
    }
    Ok(())
}

fn password(from_stdin: bool) -> Result<String> {
    if from_stdin {
        let mut text = String::new();
        stdin().take(PASSWORD_BYTES_MAX).read_to_string(&mut text).context("the password cannot be read")?;
        return Ok(text.trim_end_matches(['\n', '\r']).to_owned());
    }
    if !stdin().is_terminal() {
        bail!("there is no terminal to ask for the password on: pass --password-stdin");
    }
    rpassword::prompt_password("Password: ").context("the password cannot be read")
}
