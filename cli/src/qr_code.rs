//! A text as a QR code of characters, which an app reads from a terminal: two squares a character, one above the other.

use qrcode::{QrCode, render::unicode::Dense1x2};

/// Black on white whatever the colors of the terminal are: many apps do not read the other way round. These are entries 16 and 231
/// of the palette of 256 colors, which no theme changes.
const BLACK_ON_WHITE: &str = "\u{1b}[38;5;16;48;5;231m";

/// Back to the colors of the terminal.
const PLAIN: &str = "\u{1b}[0m";

/// The lines of the code; none for a text that is too long for one.
pub(crate) fn drawn(text: &str) -> Option<String> {
    let code = QrCode::new(text).ok()?;
    let squares = code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).build();
    let lines: Vec<String> = squares.lines().map(|line| format!("{BLACK_ON_WHITE}{line}{PLAIN}")).collect();
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_drawn_black_on_white_with_a_light_border() {
        let drawn = drawn("otpauth://totp/Sojourn:ann?secret=GEZDGNBV&issuer=Sojourn").unwrap();
        let lines: Vec<&str> = drawn.lines().collect();
        let squares = |line: &str| {
            let inside = line.strip_prefix(BLACK_ON_WHITE).and_then(|rest| rest.strip_suffix(PLAIN)).unwrap();
            inside.to_owned()
        };
        assert!(squares(lines[0]).chars().all(|square| square == ' '), "the border is light: {drawn}");
        // The corner that apps look for: seven dark squares, seven light ones within, three dark ones in the middle.
        assert!(
            squares(lines[2]).starts_with("    \u{2588}\u{2580}\u{2580}\u{2580}\u{2580}\u{2580}\u{2588} "),
            "{drawn}"
        );
        let width = squares(lines[0]).chars().count();
        assert!(lines.iter().all(|line| squares(line).chars().count() == width) && width <= 80, "{width}");
        assert!(super::drawn(&"x".repeat(10_000)).is_none());
    }
}
