//! `sagactl approvals`: acts that wait for a second operator, and that operator's decision.

use serde_json::{Value, json};

use crate::{
    args::{Approvals, Output},
    client::Client,
    commands::act,
    failure::Failure,
    output,
    seen::words,
};

/// Runs the command.
pub(crate) async fn run(client: &Client, approvals: Approvals, output: Output) -> Result<(), Failure> {
    let (decision, word) = match approvals {
        Approvals::List { all, limit } => return list(client, all, limit, output).await,
        Approvals::Show { id } => return show(&client.get(&format!("/approvals/{id}"), &[]).await?, output),
        Approvals::Approve(decision) => (decision, "approve"),
        Approvals::Reject(decision) => (decision, "reject"),
    };
    let body = json!({ "reason": act::reason(&decision.reason)? });
    let decided = client.post::<Value>(&format!("/approvals/{}/{word}", decision.id), &body).await?;
    match output {
        Output::Json | Output::Yaml => output::print_document(&decided, output),
        Output::Table | Output::Jsonl | Output::Ids => print_all(std::slice::from_ref(&decided), output),
    }
}

async fn list(client: &Client, all: bool, limit: u32, output: Output) -> Result<(), Failure> {
    let filter: &[(&str, String)] = if all { &[] } else { &[("waiting", "true".to_owned())] };
    let limit = if limit == 0 { usize::MAX } else { limit as usize };
    let (approvals, more) = client.list::<Value>("/approvals", filter, limit).await?;
    if more {
        output::note(&format!("there are more than {limit}: see --limit"));
    }
    print_all(&approvals, output)
}

/// One request, with all that a second operator should know before deciding.
fn show(approval: &Value, output: Output) -> Result<(), Failure> {
    match output {
        Output::Json | Output::Yaml => output::print_document(approval, output),
        Output::Jsonl => output::print_json_line(approval),
        Output::Ids => output::print_line(&output::field(approval, "id")),
        Output::Table => {
            let fields = ["id", "state", "ground", "actor", "role", "created_at", "expires_at", "reason", "outcome"];
            let field = |name: &str| format!("{:<12}{}\n", format!("{}:", words(name)), output::field(approval, name));
            let decision = &approval["decision"];
            let decided = |name: &str| output::field(decision, name);
            let decided = decision.is_object().then(|| {
                let (actor, at, reason) = (decided("actor"), decided("at"), decided("reason"));
                format!("{:<12}by {actor} at {at}: {reason}\n", "decided:")
            });
            let request = serde_json::to_string_pretty(&approval["request"]).unwrap_or_default();
            let request: Vec<_> = request.lines().map(output::printable).collect();
            let told = fields.map(field).concat() + &decided.unwrap_or_default();
            output::print(&format!("{told}\nAsked for\n{}\n", request.join("\n")))
        }
    }
}

fn print_all(approvals: &[Value], output: Output) -> Result<(), Failure> {
    match output {
        Output::Table if approvals.is_empty() => output::note("no approvals"),
        Output::Table => output::print_line(&table(approvals))?,
        Output::Json | Output::Yaml => output::print_document(approvals, output)?,
        Output::Jsonl => approvals.iter().try_for_each(output::print_json_line)?,
        Output::Ids => approvals.iter().try_for_each(|one| output::print_line(&output::field(one, "id")))?,
    }
    Ok(())
}

fn table(approvals: &[Value]) -> String {
    let rows = approvals.iter().map(|approval| {
        let request = &approval["request"];
        let action = [&request["action"]["action"], &request["job"]["action"]].into_iter().find(|one| one.is_string());
        let target = [&request["saga_id"], &request["job_id"]].into_iter().find(|one| one.is_string());
        let word = |value: Option<&Value>| output::printable(value.and_then(Value::as_str).unwrap_or("-"));
        let mut row = vec![output::field(approval, "id"), output::field(approval, "state"), word(action), word(target)];
        row.extend(["ground", "actor", "created_at", "outcome", "reason"].map(|field| output::field(approval, field)));
        row
    });
    output::table(&["ID", "STATE", "ACT", "OF", "GROUND", "BY", "ASKED", "OUTCOME", "REASON"], rows)
}
