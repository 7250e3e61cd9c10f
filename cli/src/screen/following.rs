//! The page of `sagactl watch`: a saga's steps as they stand, and below them what happened.

use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Key, Palette};
use crate::{
    changes::{Changes, PauseChange, pause_of},
    seen::{Record, Step, words},
    tree,
};

/// The keys, as the page's last line tells them.
const KEYS: &str = "q leave";

/// The lines that are kept: more than a person reads back, and little beside a terminal.
const LINES_MAX: usize = 2_000;

/// The state of the page.
#[derive(Default)]
pub(crate) struct Following {
    id: String,
    status: String,
    paused: bool,
    steps: Vec<Step>,
    changes: Changes,
    lines: Vec<String>,
    /// The last word about the connection.
    said: String,
    ended: bool,
}

impl Following {
    pub(crate) fn of(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    pub(crate) fn heard(&mut self, record: &Record) {
        self.lines.extend(self.changes.told(record));
        let surplus = self.lines.len().saturating_sub(LINES_MAX);
        self.lines.drain(..surplus);
        self.steps.clone_from(&record.steps);
        self.status.clone_from(&record.status);
        self.paused = pause_of(record).map_or(self.paused, |pause| pause == PauseChange::Began);
        self.said.clear();
    }

    pub(crate) fn say(&mut self, text: String) {
        self.said = text;
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// The changes, line by line: they stay in the terminal after the page.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, palette: Palette) {
        let steps = u16::try_from(self.steps.len()).unwrap_or(u16::MAX);
        let parts = [
            Constraint::Length(2),
            Constraint::Max(steps.saturating_add(1)),
            Constraint::Fill(1),
            Constraint::Length(1),
        ];
        let [head, body, below, foot] = Layout::vertical(parts).areas(frame.area());
        let title = vec![
            Span::styled(format!("{} is ", self.id), palette.title()),
            Span::styled(words(&self.status), palette.status(&self.status).patch(palette.title())),
            Span::raw(if self.paused && !self.ended { ", paused" } else { "" }),
            Span::raw(if self.ended { ", and has ended" } else { "" }),
        ];
        frame.render_widget(Line::from(title), head);
        let steps = self.steps.iter().map(|step| Line::styled(tree::step_line(step), palette.status(&step.status)));
        frame.render_widget(Paragraph::new(steps.collect::<Vec<_>>()), body);
        let newest = self.lines.len().saturating_sub(usize::from(below.height));
        let lines = self.lines.iter().skip(newest).map(|line| Line::raw(line.as_str()));
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), below);
        let said = Span::styled(format!("   {}", self.said), palette.trouble());
        frame.render_widget(Line::from(vec![Span::styled(KEYS, palette.quiet()), said]), foot);
    }
}

/// True for the keys that leave the page.
pub(crate) const fn leaves(key: Key) -> bool {
    match key {
        Key::Leave | Key::Interrupt => true,
        Key::Down | Key::Up | Key::Open | Key::Again | Key::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};
    use serde_json::json;

    use super::*;

    fn record(seq: u64, status: &str, seats: &str) -> Record {
        serde_json::from_value(json!({
            "seq": seq, "at": format!("2026-12-01T08:00:{seq:02}Z"), "status": status, "entries": [],
            "steps": [
                { "name": "create-order", "kind": "compensatable", "status": "done", "attempts": 1 },
                { "name": "hold-seats", "kind": "compensatable", "status": seats, "attempts": seq,
                  "error": { "code": "seats_gone", "message": "none\u{1b}[2J left" } },
                { "name": "notify-user", "kind": "retriable", "status": "pending", "attempts": 0 },
            ],
        }))
        .unwrap()
    }

    fn drawn(following: &Following, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(100, height)).unwrap();
        terminal.draw(|frame| following.draw(frame, Palette::new(false))).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_steps_stand_above_what_happened() {
        let mut following = Following::of("saga_1");
        following.heard(&record(1, "running", "dispatched"));
        following.heard(&record(2, "running", "retrying"));
        following.say("the connection was lost (closed); taking it up again".to_owned());
        insta::assert_snapshot!("following", drawn(&following, 12));
        following.heard(&record(3, "compensated", "refused"));
        following.end();
        let text = drawn(&following, 12);
        assert!(text.contains("saga_1 is compensated, and has ended") && !text.contains("lost"), "{text}");
    }

    #[test]
    fn a_pause_stands_beside_the_status() {
        let mut following = Following::of("saga_1");
        let with = |seq, entry: &str| Record {
            entries: vec![json!({ "entry": entry })],
            ..record(seq, "running", "dispatched")
        };
        following.heard(&with(1, "saga_paused"));
        following.heard(&record(2, "running", "done"));
        let text = drawn(&following, 14);
        assert!(text.contains("saga_1 is running, paused") && text.contains("  saga: paused"), "{text}");
        following.heard(&with(3, "saga_resumed"));
        let text = drawn(&following, 14);
        assert!(!text.contains("running, paused") && text.contains("  saga: resumed"), "{text}");
    }

    #[test]
    fn the_newest_lines_stay_in_sight_and_their_number_is_bounded() {
        let mut following = Following::of("saga_1");
        for seq in 1..=59 {
            following.heard(&record(seq, "running", "retrying"));
        }
        assert!(drawn(&following, 9).contains("08:00:59"));
        for _ in 0..LINES_MAX {
            following.heard(&record(1, "running", "retrying"));
            following.heard(&record(2, "running", "retrying"));
        }
        assert_eq!(following.lines().len(), LINES_MAX);
    }
}
