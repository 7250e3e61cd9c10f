//! Passwords and codes: from stdin, one a line, or typed by the person at the terminal, unseen. None is ever an argument, which
//! histories and other people's process lists would keep.
//!
//! The terminal is read key by key. While this program listens for Ctrl-C, a line that is being read by the system does not end
//! with it; and whoever waits for a code of a phone wants to leave.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use crossterm::{
    event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    terminal::{disable_raw_mode, enable_raw_mode},
};

use crate::failure::Failure;

/// The longest line of a secret, in bytes: what the door accepts, with room for the line's end.
const SECRET_BYTES_MAX: usize = 1024;

/// The next secret: the next line of stdin, or what the person at the terminal types.
pub(crate) fn secret(from_stdin: bool, prompt: &str) -> Result<String, Failure> {
    if !from_stdin {
        return asked(prompt);
    }
    let missing =
        || Failure::usage(format!("stdin has ended, and this is missing: {}", prompt.trim_end_matches([':', ' '])));
    line_of_stdin()?.ok_or_else(missing)
}

/// The next line of stdin, when there is one.
pub(crate) fn line_of_stdin() -> Result<Option<String>, Failure> {
    // The standard library keeps what it has read beyond the line for the next one.
    let mut line = String::new();
    let limit = u64::try_from(SECRET_BYTES_MAX).unwrap_or(u64::MAX);
    io::stdin().lock().take(limit).read_line(&mut line).map_err(|error| unreadable(&error))?;
    if line.len() == SECRET_BYTES_MAX && !line.ends_with('\n') {
        return Err(Failure::usage(format!("a line of stdin is longer than {SECRET_BYTES_MAX} bytes")));
    }
    Ok((!line.is_empty()).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A secret from the person at the terminal.
pub(crate) fn asked(prompt: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("no terminal to ask for the password on: pass --password-stdin"));
    }
    // Before the prompt: whoever is quick, or a program, answers it at once.
    let unseen = Unseen::begin()?;
    // A closed stderr asks nobody, and the answer is still read.
    let _ = write!(io::stderr().lock(), "{prompt}");
    let _ = io::stderr().lock().flush();
    let typed = unseen.line();
    drop(unseen);
    let _ = writeln!(io::stderr().lock());
    typed
}

/// The terminal while it shows nothing that is typed; as before again when this is dropped.
struct Unseen;

impl Unseen {
    fn begin() -> Result<Self, Failure> {
        enable_raw_mode().map_err(|error| unreadable(&error))?;
        Ok(Self)
    }

    fn line(&self) -> Result<String, Failure> {
        let mut line = String::new();
        loop {
            let Event::Key(key) = event::read().map_err(|error| unreadable(&error))? else { continue };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            match typed(key.code, key.modifiers) {
                Typed::Letter(letter) if line.len() + letter.len_utf8() <= SECRET_BYTES_MAX => line.push(letter),
                Typed::Letter(_) | Typed::Nothing => {}
                Typed::Back => drop(line.pop()),
                Typed::Anew => line.clear(),
                Typed::End => return Ok(line),
                Typed::Leave => return Err(Failure::interrupted()),
            }
        }
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // There is nothing left to do about a terminal that is gone.
        let _ = disable_raw_mode();
    }
}

/// The effect of a key on the line.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Letter(char),
    Back,
    Anew,
    End,
    Leave,
    Nothing,
}

fn typed(code: KeyCode, modifiers: KeyModifiers) -> Typed {
    let control = modifiers.contains(KeyModifiers::CONTROL);
    match code {
        KeyCode::Enter => Typed::End,
        KeyCode::Backspace => Typed::Back,
        // Text that is pasted, or sent by a program, ends its line so.
        KeyCode::Char('j' | 'm') if control => Typed::End,
        KeyCode::Char('h') if control => Typed::Back,
        KeyCode::Char('u') if control => Typed::Anew,
        KeyCode::Char('c' | 'd') if control => Typed::Leave,
        KeyCode::Char(letter) if !control => Typed::Letter(letter),
        _ => Typed::Nothing,
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::error(format!("cannot read the password: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_leaves_a_question_with_ctrl_c_and_ends_it_with_enter() {
        let plain = |code| typed(code, KeyModifiers::NONE);
        let control = |letter| typed(KeyCode::Char(letter), KeyModifiers::CONTROL);
        assert_eq!((plain(KeyCode::Enter), control('j')), (Typed::End, Typed::End));
        assert_eq!((control('c'), control('d')), (Typed::Leave, Typed::Leave));
        assert_eq!((plain(KeyCode::Backspace), control('u')), (Typed::Back, Typed::Anew));
        assert_eq!(
            (plain(KeyCode::Char('c')), plain(KeyCode::Char('\u{e9}'))),
            (Typed::Letter('c'), Typed::Letter('\u{e9}'))
        );
        assert_eq!((control('x'), plain(KeyCode::Up)), (Typed::Nothing, Typed::Nothing));
    }
}
