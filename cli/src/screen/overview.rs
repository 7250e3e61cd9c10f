//! The page of `sagactl top`: its state, what a key or a look does to it, and how it is drawn.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Paragraph, Row, Table, TableState},
};

use super::{Key, Palette};
use crate::{look::Look, processes, rows::Rows};

/// The keys, as the page's last line tells them.
const KEYS: &str = "j k select   enter watch   r look again   q leave";

/// The lines that sagas and failures have at least, with their titles and heads.
const LINES_LEFT_MIN: u16 = 10;

/// The columns between two columns of a table.
const SPACING: u16 = 2;

/// The state of the page.
#[derive(Default)]
pub(crate) struct Overview {
    look: Option<Look>,
    /// The saga that is selected stays so while others come and go.
    selected: Option<String>,
    /// Why the last look failed.
    trouble: Option<String>,
}

/// The act that the page asks its loop for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    LookNow,
    Watch(String),
    Leave,
    EndInterrupted,
}

impl Overview {
    pub(crate) fn looked(&mut self, look: Look) {
        let gone = |id: &String| !look.needs_attention.iter().any(|saga| saga.id == *id);
        if self.selected.as_ref().is_none_or(gone) {
            self.selected = look.needs_attention.first().map(|saga| saga.id.clone());
        }
        (self.look, self.trouble) = (Some(look), None);
    }

    pub(crate) fn failed(&mut self, why: String) {
        self.trouble = Some(why);
    }

    pub(crate) fn pressed(&mut self, key: Key) -> Wish {
        match key {
            Key::Down => self.step(1),
            Key::Up => self.step(-1),
            Key::Open => return self.selected.clone().map_or(Wish::Nothing, Wish::Watch),
            Key::Again => return Wish::LookNow,
            Key::Leave => return Wish::Leave,
            Key::Interrupt => return Wish::EndInterrupted,
            Key::Other => {}
        }
        Wish::Nothing
    }

    fn place(&self) -> Option<usize> {
        let sagas = &self.look.as_ref()?.needs_attention;
        sagas.iter().position(|saga| Some(&saga.id) == self.selected.as_ref())
    }

    fn step(&mut self, by: isize) {
        let Some(look) = &self.look else { return };
        let Some(place) = self.place().and_then(|place| place.checked_add_signed(by)) else { return };
        if let Some(saga) = look.needs_attention.get(place) {
            self.selected = Some(saga.id.clone());
        }
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, palette: Palette, url: &str) {
        let told = match (&self.trouble, &self.look) {
            (Some(why), _) => Span::styled(why.clone(), palette.trouble()),
            (None, Some(look)) => Span::raw(look.summary(usize::from(frame.area().width))),
            (None, None) => Span::raw("looking"),
        };
        let title = Span::styled(format!("sagactl top {url}   "), palette.title());
        // On a narrow terminal the numbers have a line of their own.
        let lines = if title.width() + told.width() > usize::from(frame.area().width) {
            vec![Line::from(title), Line::from(told)]
        } else {
            vec![Line::from(vec![title, told])]
        };
        let height = if lines.len() > 1 { 2 } else { 1 };
        let parts = [Constraint::Length(height), Constraint::Min(0), Constraint::Length(1)];
        let [head, body, foot] = Layout::vertical(parts).areas(frame.area());
        frame.render_widget(Paragraph::new(lines), head);
        frame.render_widget(Line::styled(KEYS, palette.quiet()), foot);
        if let Some(look) = &self.look {
            self.draw_look(look, frame, palette, body);
        }
    }

    fn draw_look(&self, look: &Look, frame: &mut Frame<'_>, palette: Palette, area: Rect) {
        let (counts, mut domains) = (look.counts(), processes::domains(&look.processes));
        let mut title = titled("Domains", &domains);
        if lines_of(&counts) + lines_of(&domains) + LINES_LEFT_MIN > area.height {
            // On a low terminal those that are well are only counted.
            let all = domains.rows.len();
            domains = processes::domains_in_trouble(&look.processes);
            title = match domains.rows.len() {
                0 => format!("Domains: all {all} are well"),
                troubled => format!("Domains ({} of {all} are well)", all - troubled),
            };
        }
        let height = |rows: &Rows| Constraint::Length(lines_of(rows));
        let parts = [Constraint::Fill(2), height(&counts), Constraint::Fill(1), height(&domains)];
        let [attention, by_status, errors, ways] = Layout::vertical(parts).areas(area);
        let selected = self.place();
        let (needs_attention, failures) = (look.needs_attention(), look.errors());
        draw_rows(frame, palette, attention, &titled("Needs attention", &needs_attention), &needs_attention, selected);
        draw_rows(frame, palette, by_status, &titled("Sagas", &counts), &counts, None);
        draw_rows(frame, palette, errors, &titled("Failures", &failures), &failures, None);
        draw_rows(frame, palette, ways, &title, &domains, None);
    }
}

/// A title and a head above the rows, and an empty line below them; a title alone where there are none.
fn lines_of(rows: &Rows) -> u16 {
    let rows = u16::try_from(rows.rows.len()).unwrap_or(u16::MAX);
    if rows == 0 { 2 } else { rows.saturating_add(3) }
}

fn titled(title: &str, rows: &Rows) -> String {
    format!("{title}{}", if rows.rows.is_empty() { ": none" } else { "" })
}

fn draw_rows(frame: &mut Frame<'_>, palette: Palette, area: Rect, title: &str, rows: &Rows, selected: Option<usize>) {
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    frame.render_widget(Line::styled(title.to_owned(), palette.title()), head);
    if rows.rows.is_empty() {
        return;
    }
    let wide = rows.width(SPACING) <= usize::from(area.width);
    let narrowed = (!wide).then(|| rows.narrowed());
    let (rows, spacing) = narrowed.as_ref().map_or((rows, SPACING), |narrowed| (narrowed, 1));
    let columns = rows.head.len();
    let width = |column| {
        // What does not fit is cut at the end of the line.
        if !wide && column + 1 == columns {
            Constraint::Fill(1)
        } else {
            Constraint::Length(u16::try_from(rows.longest(column)).unwrap_or(u16::MAX))
        }
    };
    let table = Table::new(rows.rows.iter().map(|row| Row::new(row.clone())), (0..columns).map(width))
        .header(Row::new(rows.head.clone()).style(palette.quiet()))
        .column_spacing(spacing)
        .row_highlight_style(palette.selected());
    frame.render_stateful_widget(table, body, &mut TableState::new().with_selected(selected));
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};
    use serde_json::{Value, json};

    use super::*;

    fn saga(number: u32) -> Value {
        json!({
            "id": format!("saga_{number:032x}"), "name": "order", "version": 1, "status": "needs_attention",
            "error": "capture-payment/card_declined", "updated_at": "2026-12-01T08:00:02Z",
        })
    }

    fn look(sagas: &[u32]) -> Look {
        let at = "2026-12-01T08:00:00Z";
        let told = |document: Value| serde_json::from_value(document).unwrap();
        let group =
            |status: &str, count: u32| json!({ "name": "order", "version": 1, "status": status, "sagas": count });
        Look {
            counts: serde_json::from_value(json!({
                "sagas": 4711, "quarantined": 1, "oldest_open": { "id": "saga_1", "created_at": at },
                "groups": [group("completed", 4700), group("needs_attention", 2), group("hibernating", 9),
                    { "name": "booking", "version": 2, "status": "running", "sagas": 3 }],
            }))
            .unwrap(),
            needs_attention: sagas.iter().map(|number| told(saga(*number))).collect(),
            errors: vec![
                serde_json::from_value(json!({
                    "name": "order", "error": "capture-payment/card_declined", "code": "card_declined", "first_at": at,
                    "last_at": at, "needing_attention": 2, "count": 12, "hours": [1, 2], "days": [3],
                }))
                .unwrap(),
            ],
            processes: serde_json::from_value(json!({
                "orchestrators": [{}], "domains": [
                    { "route": "payment", "queue": { "messages": 7, "consumers": 0 }, "under_way": 2, "held_sagas": 5,
                      "circuit": { "cause": "domain_silent", "since": at, "next_probe_at": at } },
                    { "route": "cruises", "under_way": 0, "held_sagas": 0 }],
            }))
            .unwrap(),
        }
    }

    fn drawn(overview: &Overview, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| overview.draw(frame, Palette::new(false), "http://door")).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_page_shows_who_needs_a_person_first() {
        let mut overview = Overview::default();
        overview.looked(look(&[1, 2]));
        insta::assert_snapshot!("overview", drawn(&overview, 140, 24));
    }

    #[test]
    fn on_the_usual_terminal_ids_and_times_are_short_and_domains_that_are_well_are_counted() {
        let mut overview = Overview::default();
        overview.looked(look(&[1, 2, 3, 4, 5, 6]));
        insta::assert_snapshot!("overview_80x24", drawn(&overview, 80, 24));
    }

    #[test]
    fn a_small_terminal_and_a_failed_look_are_no_trouble() {
        let mut overview = Overview::default();
        assert!(drawn(&overview, 80, 24).contains("looking"));
        overview.looked(look(&[]));
        overview.failed("cannot reach the gateway".to_owned());
        let text = drawn(&overview, 80, 24);
        assert!(text.contains("cannot reach the gateway") && text.contains("Needs attention: none"), "{text}");
        drawn(&overview, 3, 2);
    }

    #[test]
    fn the_selection_follows_its_saga_and_stops_at_both_ends() {
        let id = |number: u32| format!("saga_{number:032x}");
        let mut overview = Overview::default();
        assert_eq!(overview.pressed(Key::Open), Wish::Nothing);
        overview.looked(look(&[1, 2, 3]));
        overview.pressed(Key::Up);
        assert_eq!(overview.pressed(Key::Open), Wish::Watch(id(1)));
        overview.pressed(Key::Down);
        overview.looked(look(&[9, 1, 2, 3]));
        assert_eq!(overview.pressed(Key::Open), Wish::Watch(id(2)));
        overview.pressed(Key::Down);
        overview.pressed(Key::Down);
        assert_eq!(overview.pressed(Key::Open), Wish::Watch(id(3)));
        overview.looked(look(&[9]));
        assert_eq!(overview.pressed(Key::Open), Wish::Watch(id(9)));
        assert_eq!((overview.pressed(Key::Leave), overview.pressed(Key::Again)), (Wish::Leave, Wish::LookNow));
    }
}
