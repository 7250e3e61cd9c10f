//! A text as a picture that an app reads: its squares as one path, drawn by the browser.

use askama::Template;
use qrcode::{Color, QrCode};

/// The squares around the picture that must stay light, so that an app finds it.
const QUIET: usize = 4;

/// The picture. It is dark on light in every theme: many apps do not read the other way round.
#[derive(Debug, Template)]
#[template(
    ext = "html",
    source = r##"<svg class="qr" viewBox="0 0 {{ side }} {{ side }}" role="img" aria-label="{{ label }}"><rect width="{{ side }}" height="{{ side }}"></rect><path d="{{ path }}"></path></svg>"##
)]
pub(crate) struct Picture {
    label: &'static str,
    side: usize,
    path: String,
}

/// The picture of a text; none when it is too long for one.
pub(crate) fn picture(text: &str, label: &'static str) -> Option<Picture> {
    let code = QrCode::new(text).ok()?;
    let width = code.width();
    let squares = code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark);
    let path = squares.map(|(at, _)| format!("M{} {}h1v1h-1z", QUIET + at % width, QUIET + at / width)).collect();
    Some(Picture { label, side: width + 2 * QUIET, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_drawn_with_the_three_corners_that_apps_look_for() {
        let picture = picture("otpauth://totp/Sojourn:ann?secret=GEZDGNBV&issuer=Sojourn", "to scan").unwrap();
        let last = picture.side - QUIET - 1;
        for (x, y) in [(QUIET, QUIET), (last, QUIET), (QUIET, last)] {
            assert!(picture.path.contains(&format!("M{x} {y}h1v1h-1z")), "{x} {y}");
        }
        assert!(picture.render().unwrap().contains("aria-label=\"to scan\""));
        assert!(super::picture(&"x".repeat(10_000), "to scan").is_none());
    }
}
