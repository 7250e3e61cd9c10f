//! The terminal as a live page: opened, drawn, and put back as it was, however the command ends. What is shown and what a key
//! does is decided elsewhere, without a terminal.

pub(crate) mod following;
pub(crate) mod overview;
mod palette;

use std::{
    env,
    io::{self, IsTerminal as _},
};

use crossterm::event::{Event, EventStream, KeyCode, KeyEventKind, KeyModifiers};
use futures::StreamExt as _;
use ratatui::{DefaultTerminal, Frame};

pub(crate) use self::palette::Palette;
use crate::failure::Failure;

/// The wish of a person, by a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Down,
    Up,
    Open,
    Again,
    Leave,
    Interrupt,
    /// A key without a meaning, or a new size: only drawn anew.
    Other,
}

/// The terminal while it belongs to this program.
pub(crate) struct Screen {
    terminal: DefaultTerminal,
    events: EventStream,
    pub(crate) palette: Palette,
}

/// True when a person sits at a terminal that can be drawn on.
pub(crate) fn is_possible() -> bool {
    let dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !dumb && io::stdin().is_terminal() && io::stdout().is_terminal()
}

impl Screen {
    pub(crate) fn open() -> Result<Self, Failure> {
        let colors = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let terminal = ratatui::try_init()?;
        Ok(Self { terminal, events: EventStream::new(), palette: Palette::new(colors) })
    }

    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>, Palette)) -> Result<(), Failure> {
        let palette = self.palette;
        self.terminal.draw(|frame| draw(frame, palette))?;
        Ok(())
    }

    /// The next key; an error when the terminal is gone.
    pub(crate) async fn key(&mut self) -> Result<Key, Failure> {
        match self.events.next().await {
            Some(Ok(Event::Key(key))) if key.kind == KeyEventKind::Release => Ok(Key::Other),
            Some(Ok(Event::Key(key))) => Ok(meaning(key.code, key.modifiers)),
            Some(Ok(_)) => Ok(Key::Other),
            Some(Err(error)) => Err(error.into()),
            None => Err(Failure::error("the terminal is gone")),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nothing left to do about a terminal that is gone.
        let _ = ratatui::try_restore();
    }
}

fn meaning(code: KeyCode, modifiers: KeyModifiers) -> Key {
    match code {
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Key::Interrupt,
        KeyCode::Char('j') | KeyCode::Down => Key::Down,
        KeyCode::Char('k') | KeyCode::Up => Key::Up,
        KeyCode::Char('r') => Key::Again,
        KeyCode::Char('q') | KeyCode::Esc => Key::Leave,
        KeyCode::Enter => Key::Open,
        _ => Key::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_meaning_each() {
        let plain = |code| meaning(code, KeyModifiers::NONE);
        assert_eq!((plain(KeyCode::Char('j')), plain(KeyCode::Up)), (Key::Down, Key::Up));
        assert_eq!((plain(KeyCode::Enter), plain(KeyCode::Esc)), (Key::Open, Key::Leave));
        assert_eq!(meaning(KeyCode::Char('c'), KeyModifiers::CONTROL), Key::Interrupt);
        assert_eq!(plain(KeyCode::Char('c')), Key::Other);
    }
}
