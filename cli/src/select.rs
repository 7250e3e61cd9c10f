//! Which items a command is about: ids from the command line or, with `-`, from stdin, or what a query finds; and the question
//! before many of them are changed.

use std::{
    collections::HashSet,
    fmt::Display,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    str::FromStr,
};

use chrono::{DateTime, Utc};
use contract::{SagaId, orchestrator_api::SagaQuery};
use serde::Deserialize;

use crate::{
    args::Selection,
    call::Call,
    failure::{Exit, Failure},
};

/// The most ids of one call: a longer list is more likely a mistake than a wish.
const IDS_MAX: usize = 10_000;

/// The longest line of ids, in bytes; what is longer is not ids.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// The ids, in the order given, each once.
#[derive(Debug)]
pub(crate) struct Selected<I> {
    pub(crate) ids: Vec<I>,
    /// True when stdin was read for them, so that it cannot be asked for consent any more.
    pub(crate) from_stdin: bool,
}

/// One line of a listing: only its id is read.
#[derive(Deserialize)]
struct Found {
    id: SagaId,
}

/// The sagas that are selected, by their ids or by a query.
pub(crate) async fn sagas(call: &Call, selection: &Selection) -> Result<Selected<SagaId>, Failure> {
    let Some(query) = &selection.query else { return select(&selection.ids) };
    let query = self::query(query, call.now)?;
    if query.terms.is_empty() {
        return Err(Failure::usage("--query: a query without a term would select every saga; nothing was done"));
    }
    let (found, more) = call.client.list::<Found>("/sagas", &query.parameters(), IDS_MAX).await?;
    if more {
        let jobs = "a job acts on more: see `sagactl jobs create`";
        return Err(Failure::usage(format!("--query selects more than {IDS_MAX} sagas; {jobs}; nothing was done")));
    }
    if found.is_empty() {
        return Err(Failure::new(Exit::NotFound, "no saga matches; nothing was done"));
    }
    Ok(Selected { ids: found.into_iter().map(|saga| saga.id).collect(), from_stdin: false })
}

/// Reads the text of `--query`.
pub(crate) fn query(text: &str, now: DateTime<Utc>) -> Result<SagaQuery, Failure> {
    SagaQuery::read(text, now).map_err(|error| Failure::usage(format!("--query: {error}")))
}

/// Reads ids; every wrong one is named before anything is done.
pub(crate) fn select<I>(arguments: &[String]) -> Result<Selected<I>, Failure>
where
    I: FromStr + Copy + Eq + std::hash::Hash,
    I::Err: Display,
{
    let from_stdin = arguments.iter().any(|argument| argument == "-");
    let mut words: Vec<String> = arguments.iter().filter(|argument| *argument != "-").cloned().collect();
    if from_stdin {
        words.extend(stdin_words()?);
    }
    if words.is_empty() {
        return Err(Failure::usage("no ids on stdin; nothing was done"));
    }
    if words.len() > IDS_MAX {
        return Err(Failure::usage(format!("{} ids, more than {IDS_MAX}; nothing was done", words.len())));
    }
    let mut ids = Vec::with_capacity(words.len());
    let mut seen = HashSet::new();
    let mut wrong = Vec::new();
    for word in &words {
        match word.parse::<I>() {
            Ok(id) if seen.insert(id) => ids.push(id),
            Ok(_) => {}
            Err(error) => wrong.push(error.to_string()),
        }
    }
    if wrong.is_empty() {
        Ok(Selected { ids, from_stdin })
    } else {
        Err(Failure::usage(format!("{}\nnothing was done", wrong.join("\n"))))
    }
}

fn stdin_words() -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|error| Failure::error(format!("cannot read ids from stdin: {error}")))?;
        if line.len() > LINE_BYTES_MAX {
            return Err(Failure::usage("stdin does not hold ids; nothing was done"));
        }
        words.extend(line.split_whitespace().map(str::to_owned));
    }
    Ok(words)
}

/// Asks before several items are changed. Without a terminal to ask on, only `--yes` will do.
pub(crate) fn confirm(verb: &str, what: &str, count: usize, from_stdin: bool, yes: bool) -> Result<(), Failure> {
    if count <= 1 || yes {
        return Ok(());
    }
    if from_stdin || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::usage(format!(
            "{verb} would change {count} {what}: pass --yes to do it without a question; nothing was done"
        )));
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{verb} {count} {what}? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|error| Failure::error(format!("cannot read the answer: {error}")))?;
    if matches!(answer.trim(), "y" | "Y" | "yes" | "Yes") {
        Ok(())
    } else {
        Err(Failure::usage("not confirmed; nothing was done"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kept_in_order_and_once() {
        let one = format!("saga_{:032x}", 1);
        let two = format!("saga_{:032x}", 2);
        let selected = select::<SagaId>(&[two.clone(), one.clone(), two.clone()]).unwrap();
        let texts: Vec<_> = selected.ids.iter().map(ToString::to_string).collect();
        assert_eq!(texts, [two, one]);
        assert!(!selected.from_stdin);
    }

    #[test]
    fn every_wrong_id_is_named() {
        let failure = select::<SagaId>(&["ord_1".into(), "saga_2".into()]).unwrap_err();
        assert!(failure.message.contains("ord_1") && failure.message.contains("saga_2"), "{failure}");
    }

    #[test]
    fn one_item_needs_no_question_and_many_need_yes_without_a_terminal() {
        assert!(confirm("cancel", "sagas", 1, true, false).is_ok());
        assert!(confirm("cancel", "sagas", 2, true, true).is_ok());
        assert!(confirm("cancel", "sagas", 2, true, false).is_err());
    }
}
