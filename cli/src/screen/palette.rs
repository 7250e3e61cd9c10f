//! The styles of a live page. Each means the same without colors, by a word beside it.

use ratatui::style::{Color, Modifier, Style};

/// The styles, with colors or without.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    colors: bool,
}

impl Palette {
    pub(crate) const fn new(colors: bool) -> Self {
        Self { colors }
    }

    fn colored(self, color: Color) -> Style {
        if self.colors { Style::new().fg(color) } else { Style::new() }
    }

    pub(crate) fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(crate) fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(crate) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(crate) fn trouble(self) -> Style {
        self.colored(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// The style of a status, of a saga or a step.
    pub(crate) fn status(self, status: &str) -> Style {
        match status {
            "needs_attention" => self.trouble(),
            "refused" | "abandoned" => self.colored(Color::Red),
            "compensating" | "retrying" => self.colored(Color::Yellow),
            "completed" | "done" => self.colored(Color::Green),
            "pending" | "not_applicable" => self.quiet(),
            _ => Style::new(),
        }
    }
}
