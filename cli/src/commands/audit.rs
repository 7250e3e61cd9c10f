//! `sagactl audit`: what operators did, and the proof that it is all there.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::PathBuf,
};

use contract::orchestrator_api::{AuditHead, AuditRecord, AuditVerification, find_break};
use flate2::read::GzDecoder;

use crate::{
    args::{Audit, Output},
    client::Client,
    failure::Failure,
    output,
    seen::Told,
};

pub(crate) async fn run(client: &Client, audit: Audit, output: Output) -> Result<(), Failure> {
    match audit {
        Audit::List { actor, target, act, limit } => {
            let filter = [("actor", actor), ("target", target), ("act", act)];
            let filter: Vec<_> = filter.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            list(client, &filter, limit, output).await
        }
        Audit::VerifyExport { files } => verify_files(&files, output),
        Audit::Verify { head } => verify(client, head.as_deref().map(noted).transpose()?, output).await,
    }
}

async fn list(client: &Client, filter: &[(&str, String)], limit: u32, output: Output) -> Result<(), Failure> {
    let wanted = if limit == 0 { usize::MAX } else { limit as usize };
    let (rows, more) = client.list::<Told<AuditRecord>>("/audit", filter, wanted).await?;
    match output {
        Output::Table if rows.is_empty() => output::note("no rows"),
        Output::Table => output::print_line(&table(&rows))?,
        Output::Json | Output::Yaml => output::print_document(&rows, output)?,
        Output::Jsonl => rows.iter().try_for_each(output::print_json_line)?,
        Output::Ids => rows.iter().try_for_each(|row| output::print_line(&row.number.to_string()))?,
    }
    if more {
        output::note(&format!("there are more than {limit}; raise --limit, or --limit 0 for all"));
    }
    Ok(())
}

/// Follows the chain to its end. A broken one is an error that names the row.
async fn verify(client: &Client, noted: Option<AuditHead>, output: Output) -> Result<(), Failure> {
    let (mut checked, mut after) = (0, 0);
    let head = loop {
        let part: AuditVerification = client.get("/audit/verification", &[("after", after.to_string())]).await?;
        checked += part.checked;
        if let Some(broken) = part.broken {
            return Err(Failure::error(format!(
                "the audit log is broken at row {}: {}",
                broken.number,
                output::printable(&broken.detail)
            )));
        }
        match part.next_after {
            Some(next) if next > after => after = next,
            Some(_) | None => break part.head,
        }
    };
    if let Some(noted) = noted {
        as_noted(client, &noted).await?;
    }
    print_head(&head, checked, output)
}

fn print_head(head: &AuditHead, checked: u64, output: Output) -> Result<(), Failure> {
    match output {
        Output::Table => {
            output::print_line(&format!("{checked} rows follow each other; head {}:{}", head.number, head.hash))
        }
        Output::Json | Output::Jsonl | Output::Yaml => output::print_json_line(head),
        Output::Ids => output::print_line(&head.number.to_string()),
    }
}

/// Follows the chain through files.
fn verify_files(files: &[PathBuf], output: Output) -> Result<(), Failure> {
    let mut follows: Option<AuditHead> = None;
    let mut checked = 0_u64;
    for file in files {
        let name = file.display();
        let unreadable = |error: io::Error| Failure::error(format!("cannot read {name}: {error}"));
        let lines = BufReader::new(GzDecoder::new(File::open(file).map_err(unreadable)?)).lines();
        for line in lines {
            let row: AuditRecord = serde_json::from_str(&line.map_err(unreadable)?)
                .map_err(|error| Failure::error(format!("{name} holds a line that is no row: {error}")))?;
            let before = follows
                .take()
                .unwrap_or_else(|| AuditHead { number: row.number.saturating_sub(1), hash: row.previous_hash.clone() });
            let head = AuditHead { number: row.number, hash: row.hash.clone() };
            if let Some(broken) = find_break(&before, std::slice::from_ref(&row), &head, false) {
                let (number, detail) = (broken.number, output::printable(&broken.detail));
                return Err(Failure::error(format!("the audit log is broken at row {number}, in {name}: {detail}")));
            }
            checked += 1;
            follows = Some(head);
        }
    }
    let Some(head) = follows else { return Err(Failure::error("the files hold no row")) };
    print_head(&head, checked, output)
}

/// Compares a row with what was noted of it before.
async fn as_noted(client: &Client, noted: &AuditHead) -> Result<(), Failure> {
    let part: AuditVerification = client.get("/audit/verification", &[("after", noted.number.to_string())]).await?;
    if part.begins_with.as_ref() == Some(&noted.hash) {
        return Ok(());
    }
    Err(Failure::error(format!(
        "row {} of the audit log is not the one that was noted: the log was written anew",
        noted.number
    )))
}

fn noted(text: &str) -> Result<AuditHead, Failure> {
    let parts = text.split_once(':').and_then(|(number, hash)| Some((number.parse().ok()?, hash.to_owned())));
    let (number, hash) = parts.ok_or_else(|| Failure::usage("--head is a row's number and hash, as in 7:9f86d0..."))?;
    Ok(AuditHead { number, hash })
}

fn table(rows: &[Told<AuditRecord>]) -> String {
    let rows = rows.iter().map(|row| {
        let fact = &row.fact;
        let outcome = match fact.answers {
            Some(asked) => format!("{} (of {asked})", fact.outcome),
            None => fact.outcome.clone(),
        };
        let texts = [&fact.actor, &fact.role, &fact.act, &fact.target, &outcome, &fact.reason];
        let texts = texts.into_iter().map(|text| output::printable(text));
        [row.number.to_string(), output::time(fact.at)].into_iter().chain(texts).collect()
    });
    output::table(&["NUMBER", "AT", "ACTOR", "ROLE", "ACT", "TARGET", "OUTCOME", "REASON"], rows)
}
