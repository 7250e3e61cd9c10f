//! The rule for prose: documentation is a noun phrase or a sentence with its subject named.

use crate::{files, nothing_wrong};

/// The fewest words of a documented item. With fewer, a line repeats the name beside it.
const WORDS_MIN: usize = 3;

/// Subjects that name no one. Written in two parts, so that this file keeps its own rule.
const UNNAMED_SUBJECTS: &[(&str, &str)] = &[("No", "body "), ("Who", "ever "), ("What", "ever ")];

#[test]
fn documentation_names_its_subject() {
    let mut problems = Vec::new();
    for file in files::all().into_iter().filter(files::TextFile::is_rust) {
        for (line, text) in documentation(&file.text) {
            // A link alone sends the reader to where it is said.
            if text.split_whitespace().count() < WORDS_MIN && !text.contains("[`") {
                problems.push(format!("{}:{line}: `{text}` says too little: say more, or delete it", file.path));
            }
            if text.starts_with("What ") {
                problems.push(format!("{}:{line}: a riddle: begin with a noun that names it", file.path));
            }
        }
        for (number, line) in file.text.lines().enumerate() {
            let comment = ["/// ", "//! ", "// "].iter().find_map(|mark| line.split_once(mark));
            if comment.is_some_and(|(_, comment)| has_unnamed_subject(comment)) {
                problems.push(format!("{}:{}: name the subject: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    nothing_wrong("Prose is plain.", problems);
}

fn has_unnamed_subject(comment: &str) -> bool {
    let subjects = UNNAMED_SUBJECTS.iter().map(|(first, second)| format!("{first}{second}"));
    let mut subjects = subjects.map(|subject| (format!(". {subject}"), subject));
    subjects.any(|(later, subject)| comment.starts_with(&subject) || comment.contains(&later))
}

/// Every block of documentation, with the number of its first line.
fn documentation(text: &str) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let said = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        match (said, blocks.last_mut().filter(|_| open)) {
            (Some(said), Some((_, block))) => {
                block.push(' ');
                block.push_str(said.trim());
            }
            (Some(said), None) => blocks.push((number + 1, said.trim().to_owned())),
            (None, _) => {}
        }
        open = said.is_some();
    }
    blocks
}
