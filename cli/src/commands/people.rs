//! `sagactl people` and `whoami`. People are printed as the server tells them: a role that this program does not know is
//! a word like any other.

use contract::user::{ChangeRights, CreatePerson, SetRole};
use serde_json::Value;

use crate::{
    args::{Output, People},
    client::Client,
    commands::act,
    failure::Failure,
    output, secrets,
};

/// The member of `whoami` that this program adds to the server's document.
const LOGIN_ENDS_AT: &str = "login_ends_at";

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
            let password = secrets::secret(password_stdin, "Password: ")?;
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
        People::Reset(change) => {
            let body = ChangeRights { reason: act::reason(&change.reason)? };
            let made: Value = client.post(&format!("/people/{}/reset", change.id), &body).await?;
            print_code(&made, output)
        }
        People::ClearSecondFactor(change) => {
            let body = ChangeRights { reason: act::reason(&change.reason)? };
            print(&client.post::<Value>(&format!("/people/{}/clear-second-factor", change.id), &body).await?, output)
        }
    }
}

/// Prints the person who is logged in, and until when the stored login lasts.
pub(crate) async fn whoami(client: &Client, output: Output) -> Result<(), Failure> {
    let mut person = client.get::<Value>("/whoami", &[]).await?;
    if let (Some(ends_at), Some(document)) = (client.login_ends_at().await, person.as_object_mut()) {
        document.insert(LOGIN_ENDS_AT.to_owned(), output::time(ends_at).into());
    }
    print(&person, output)
}

/// Prints a code for a new password; for people with the time from which it is void.
fn print_code(made: &Value, output: Output) -> Result<(), Failure> {
    match output {
        Output::Json | Output::Yaml => output::print_document(made, output),
        Output::Jsonl => output::print_json_line(made),
        Output::Table | Output::Ids => {
            output::print_line(&output::field(made, "code"))?;
            output::note(&format!("it works once, until {}", output::field(made, "expires_at")));
            Ok(())
        }
    }
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
    let mut columns = vec![
        ("ID", "user_id"),
        ("EMAIL", "email"),
        ("NAME", "name"),
        ("ROLE", "role"),
        ("CREATED", "created_at"),
        ("DISABLED", "disabled_at"),
    ];
    let login = people.iter().any(|person| person[LOGIN_ENDS_AT].is_string());
    columns.extend(login.then_some(("LOGIN ENDS", LOGIN_ENDS_AT)));
    let row = |person: &Value| {
        let fields = columns.iter().map(|(_, field)| output::field(person, field));
        fields.chain([output::field(&person["second_factor"], "since")]).collect()
    };
    let head: Vec<&str> = columns.iter().map(|(head, _)| *head).chain(["SECOND FACTOR"]).collect();
    output::table(&head, people.iter().map(row))
}
