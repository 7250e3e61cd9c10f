//! Which items a command is about: ids from the command line or, with `-`, from stdin; and the question before many
//! of them are changed.

use std::{
    collections::HashSet,
    fmt::Display,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    str::FromStr,
};

use crate::failure::Failure;

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
    use contract::SagaId;

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
