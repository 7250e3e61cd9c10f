//! `sagactl people` and `whoami`. People are printed as the server tells them: a role that this program does not know is
//! a word like any other.

use contract::user::{ChangeRights, CreatePerson, SetRole};
use serde_json::Value;

use crate::{
    args::{Output, People},
    client::Client,
    commands::{act, login},
    failure::Failure,
    output,
};

/// Runs the command.
pub(crate) async fn run(client: &Client, people: People, output: Output) -> Result<(), Failure> {
    match people {
        People::List { role, email, limit } => {
            let mut filter: Vec<(&str, String)> = Vec::new();
            filter.extend(role.map(|role| ("role", role.as_str().to_owned())));
            filter.extend(email.map(|email| ("email", email)));
            let limit = if limit == 0 { usize::MAX } else { limit as usize };
            let (people, more) = client.list::<Value>("/people", &filter, limit).await?;
            if more {
                output::note(&format!("there are more than {limit}: see --limit"));
            }
            print_all(&people, output)
        }
        People::Create { email, name, role, password_stdin, reason } => {
            let reason = act::reason(&reason)?;
            let password = login::password(password_stdin)?;
            let person = CreatePerson { email, name, password, role, reason };
            print(&client.post::<Value>("/people", &person).await?, output)
        }
        People::SetRole { id, role, reason } => {
            let body = SetRole { role, reason: act::reason(&reason)? };
            print(&client.post::<Value>(&format!("/people/{id}/role"), &body).await?, output)
        }
        People::Disable(change) => {
            let body = ChangeRights { reason: act::reason(&change.reason)? };
            print(&client.post::<Value>(&format!("/people/{}/disable", change.id), &body).await?, output)
        }
        People::Enable(change) => {
            let body = ChangeRights { reason: act::reason(&change.reason)? };
            print(&client.post::<Value>(&format!("/people/{}/enable", change.id), &body).await?, output)
        }
    }
}

/// Prints the person who is logged in.
pub(crate) async fn whoami(client: &Client, output: Output) -> Result<(), Failure> {
    print(&client.get::<Value>("/whoami", &[]).await?, output)
}

fn print(person: &Value, output: Output) -> Result<(), Failure> {
    match output {
        Output::Json | Output::Yaml => output::print_document(person, output),
        Output::Table | Output::Jsonl | Output::Ids => print_all(std::slice::from_ref(person), output),
    }
}

fn print_all(people: &[Value], output: Output) -> Result<(), Failure> {
    match output {
        Output::Table if people.is_empty() => output::note("no people"),
        Output::Table => output::print_line(&table(people))?,
        Output::Json | Output::Yaml => output::print_document(people, output)?,
        Output::Jsonl => people.iter().try_for_each(output::print_json_line)?,
        Output::Ids => people.iter().try_for_each(|person| output::print_line(&output::field(person, "user_id")))?,
    }
    Ok(())
}

fn table(people: &[Value]) -> String {
    let rows = people.iter().map(|person| {
        ["user_id", "email", "name", "role", "created_at", "disabled_at"]
            .map(|field| output::field(person, field))
            .to_vec()
    });
    output::table(&["ID", "EMAIL", "NAME", "ROLE", "CREATED", "DISABLED"], rows)
}
