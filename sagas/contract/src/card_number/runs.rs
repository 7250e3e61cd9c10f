//! A text's digits, in runs: of every script, without marks that cannot be seen, without those of ids and times.

use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_properties::props::GeneralCategory;

use crate::text::category;

/// The longest text that may stand between the groups of a number that is written in groups of one size, in characters: ` and `, `---`.
const GAP_CHARS_MAX: usize = 8;

/// The longest id, in characters: a UUID, or 32 digits and a prefix.
const ID_CHARS_MAX: usize = 40;

/// The longest fraction of a second in a time of day, in digits.
const FRACTION_DIGITS_MAX: usize = 9;

/// Digits that follow each other, and what stands before them.
pub(super) struct Run {
    pub(super) digits: Vec<u8>,
    pub(super) gap: Gap,
}

/// The text that divides a run of digits from the one before it.
#[derive(Clone, Copy)]
pub(super) enum Gap {
    /// One character that is no letter.
    Single,
    /// A few characters.
    Near,
    /// More, or something that is known to be no part of a number.
    Far,
}

/// The text's digits, without those of ids and times.
pub(super) fn runs(text: &str) -> Vec<Run> {
    let plain = DecomposingNormalizerBorrowed::new_nfkd().normalize(text);
    let chars: Vec<char> = plain.chars().filter(|c| !is_invisible(*c)).collect();
    let mut runs: Vec<Run> = Vec::new();
    let (mut at, mut gap_chars, mut letters, mut known) = (0, 0, false, true);
    while at < chars.len() {
        let begins = at == 0 || !(chars[at - 1].is_alphanumeric());
        let skipped = if begins { id_chars(&chars[at..]).or_else(|| time_chars(&chars[at..])) } else { None };
        if let Some(skipped) = skipped {
            known = true;
            at += skipped;
            continue;
        }
        let digits: Vec<u8> = chars[at..].iter().map_while(|c| digit(*c)).collect();
        if digits.is_empty() {
            gap_chars += 1;
            letters |= chars[at].is_alphabetic();
            at += 1;
            continue;
        }
        let gap = if known || gap_chars > GAP_CHARS_MAX {
            Gap::Far
        } else if gap_chars == 1 && !letters {
            Gap::Single
        } else {
            Gap::Near
        };
        at += digits.len();
        runs.push(Run { digits, gap });
        (gap_chars, letters, known) = (0, false, false);
    }
    runs
}

/// Marks and format characters: zero-width spaces, joiners, combining marks.
fn is_invisible(c: char) -> bool {
    match category(c) {
        GeneralCategory::Format | GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark => true,
        GeneralCategory::Control => !c.is_whitespace(),
        _ => false,
    }
}

/// The value of a decimal digit of any script. Unicode has each script's ten digits in a row, from zero.
fn digit(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.to_digit(10).and_then(|value| u8::try_from(value).ok());
    }
    let is_digit = |c: char| category(c) == GeneralCategory::DecimalNumber;
    if !is_digit(c) {
        return None;
    }
    let before = (0..u32::from(c)).rev().map_while(char::from_u32).take_while(|c| is_digit(*c)).count();
    u8::try_from(before % 10).ok()
}

/// The length of the id that the text begins with: a UUID, or letters and 32 hexadecimal digits as ours have. The digits
/// of an id are all decimal now and then. A payment token is no id: a client makes its text.
fn id_chars(chars: &[char]) -> Option<usize> {
    let in_word = |c: &&char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let word: String = chars.iter().take(ID_CHARS_MAX + 1).take_while(in_word).collect();
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let ours = word.split_once('_').is_some_and(|(prefix, rest)| {
        prefix != "tok" && prefix.bytes().all(|byte| byte.is_ascii_lowercase()) && rest.len() == 32 && is_hex(rest)
    });
    let parts: Vec<&str> = word.split('-').collect();
    let uuid = parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| is_hex(part));
    (ours || uuid).then_some(word.len())
}

/// The length of the date, the time of day or both that the text begins with.
fn time_chars(chars: &[char]) -> Option<usize> {
    let Some(date) = date_chars(chars) else { return clock_chars(chars) };
    let clock = match chars.get(date) {
        Some('T' | 't' | ' ') => clock_chars(&chars[date + 1..]).map(|clock| clock + 1),
        _ => None,
    };
    Some(date + clock.unwrap_or(0))
}

/// Day, month and year, with the year first or last.
fn date_chars(chars: &[char]) -> Option<usize> {
    let (first, first_chars) = number(chars)?;
    let divider = chars.get(first_chars).filter(|c| matches!(c, '-' | '.' | '/'))?;
    let rest = &chars[first_chars + 1..];
    let (second, second_chars) = number(rest)?;
    let rest = rest[second_chars..].strip_prefix(&[*divider])?;
    let (third, third_chars) = number(rest)?;
    let is_year = |value: u32, chars: usize| chars == 4 && (1900..2100).contains(&value);
    let is_part = |value: u32, chars: usize| chars <= 2 && (1..=31).contains(&value);
    let year_first = is_year(first, first_chars) && is_part(third, third_chars);
    let year_last = is_part(first, first_chars) && is_year(third, third_chars);
    let whole = is_part(second, second_chars) && (year_first || year_last);
    whole.then_some(first_chars + second_chars + third_chars + 2)
}

/// Hours and minutes, seconds, a fraction, and a zone's offset.
fn clock_chars(chars: &[char]) -> Option<usize> {
    let (_, mut length) = number(chars).filter(|(hours, chars)| *hours < 24 && *chars <= 2)?;
    let sixtieth = |chars: &[char], divider: char| -> Option<usize> {
        let rest = chars.strip_prefix(&[divider])?;
        number(rest).filter(|(value, chars)| *value < 60 && *chars == 2).map(|(_, chars)| chars + 1)
    };
    length += sixtieth(&chars[length..], ':')?;
    if let Some(seconds) = sixtieth(&chars[length..], ':') {
        length += seconds;
        let fraction = chars[length..].strip_prefix(&['.']).and_then(number);
        length += fraction.map_or(0, |(_, chars)| chars + 1);
    }
    Some(length)
}

/// The number that the text begins with, and its length; at most as many digits as a fraction has.
fn number(chars: &[char]) -> Option<(u32, usize)> {
    let digits: Vec<u32> = chars.iter().map_while(|c| c.to_digit(10)).take(FRACTION_DIGITS_MAX + 1).collect();
    let fits = (1..=FRACTION_DIGITS_MAX).contains(&digits.len());
    fits.then(|| (digits.iter().fold(0, |value, digit| value * 10 + digit), digits.len()))
}
