//! Text that a person types: which characters may stand in it, and the one form in which it is compared, stored, hashed
//! and searched.
//!
//! One word has several spellings in Unicode (`é`, or `e` and an accent), and some characters draw nothing or turn the
//! order of their neighbors around. Every type that holds typed text is made by these functions, so that one text has
//! one meaning wherever it arrives. The data of Unicode comes from ICU4X.

use std::borrow::Cow;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{
        DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, Ideographic, IndicSyllabicCategory,
        JoiningType, VariationSelector,
    },
};
use serde::{Deserialize, Serialize, de};

/// The longest text that is looked for, in characters: no place on earth needs more.
pub const SEARCH_CHARS_MAX: usize = 100;

/// A character that must not stand where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the character U+{:04X} cannot be seen, or changes how its neighbors are seen: leave it out", u32::from(*.0))]
pub struct UnfitCharacter(pub char);

/// The composed form (NFC) of a text.
#[must_use]
pub fn composed(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// A text as one line is kept: composed, without white space at its ends, with one space for every run of spaces.
#[must_use]
pub fn line(text: &str) -> String {
    let composed = composed(text);
    let mut line = String::with_capacity(composed.len());
    for character in composed.trim().chars() {
        if category(character) != GeneralCategory::SpaceSeparator {
            line.push(character);
        } else if !line.ends_with(' ') {
            line.push(' ');
        }
    }
    line
}

/// Finds what must not stand in a text that people read: characters that draw nothing, controls and overrides of the
/// writing direction, what Unicode has not assigned, and marks without a letter to stand on.
///
/// Joiners and variation selectors draw nothing either, but some scripts cannot be written without them: they may
/// stand after a letter of such a script.
///
/// # Errors
/// [`UnfitCharacter`] is the first one.
pub fn check(text: &str) -> Result<(), UnfitCharacter> {
    let mut before: Option<char> = None;
    // The last character that marks may stand on.
    let mut base: Option<char> = None;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let fits = if is_joiner(character) {
            joins(before, base, rest.clone().next())
        } else if CodePointSetData::new::<VariationSelector>().contains(character) {
            before == base && base.is_some_and(has_variants)
        } else if is_mark(character) {
            base.is_some() && !is_invisible(character)
        } else {
            !is_invisible(character)
        };
        if !fits {
            return Err(UnfitCharacter(character));
        }
        if category(character) == GeneralCategory::SpaceSeparator {
            base = None;
        } else if !is_mark(character) && !is_joiner(character) {
            base = Some(character);
        }
        before = Some(character);
    }
    Ok(())
}

/// The general category of a character.
pub(crate) fn category(character: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(character)
}

fn is_mark(character: char) -> bool {
    GeneralCategoryGroup::Mark.contains(category(character))
}

fn is_letter_or_mark(character: char) -> bool {
    GeneralCategoryGroup::Letter.union(GeneralCategoryGroup::Mark).contains(category(character))
}

/// Zero width non-joiner, zero width joiner, and the separator before the last vowel of Mongolian words.
const fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}' | '\u{180e}')
}

/// A joiner stands between two letters of a script whose letters change their shapes (Persian, Bengali), or ends the word
/// after a virama, as older Malayalam and Bengali text has it.
fn joins(before: Option<char>, base: Option<char>, after: Option<char>) -> bool {
    let kind = CodePointMapData::<IndicSyllabicCategory>::new();
    let ends_word = before.is_some_and(|before| kind.get(before) == IndicSyllabicCategory::Virama);
    let goes_on = after.is_some_and(|after| is_mark(after) || has_joining_shapes(after));
    before.is_some_and(is_letter_or_mark) && base.is_some_and(has_joining_shapes) && (ends_word || goes_on)
}

/// True for letters of cursive scripts (Arabic, Syriac, Mongolian) and of the Indic family.
fn has_joining_shapes(base: char) -> bool {
    let joining = CodePointMapData::<JoiningType>::new().get(base);
    let cursive = matches!(joining, JoiningType::DualJoining | JoiningType::RightJoining | JoiningType::LeftJoining);
    let indic = CodePointMapData::<IndicSyllabicCategory>::new().get(base) != IndicSyllabicCategory::Other;
    is_letter_or_mark(base) && (cursive || indic)
}

/// True for letters whose variants have selectors: ideographs, as names in Japanese registers need them, and scripts
/// with joining shapes.
fn has_variants(base: char) -> bool {
    CodePointSetData::new::<Ideographic>().contains(base) || has_joining_shapes(base)
}

/// True for what draws nothing, and for what a reader of the text cannot know.
fn is_invisible(character: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, Surrogate, Unassigned};
    // Assigned as letters and symbols, but their pictures are empty: braille without dots, the null note head, blanks
    // of hieroglyphs, the half fill space and the place of an object.
    let blank = matches!(character, '\u{2800}' | '\u{1d159}' | '\u{13441}' | '\u{13442}' | '\u{303f}' | '\u{fffc}');
    blank
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
        || matches!(
            category(character),
            Control | Format | LineSeparator | ParagraphSeparator | PrivateUse | Surrogate | Unassigned
        )
}

/// A text to look for, in the form in which names are kept for searching: small letters without accents.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SearchText(String);

/// Why a text cannot be looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchTextError {
    /// Too short or too long.
    #[error("a text to look for has 1 to {SEARCH_CHARS_MAX} characters, such as \"Maldives\"")]
    Length,
    /// It has a character that cannot be looked for.
    #[error(transparent)]
    Unfit(#[from] UnfitCharacter),
}

impl SearchText {
    /// Reads what a person typed into a search field.
    ///
    /// # Errors
    /// [`SearchTextError`].
    pub fn parse(typed: &str) -> Result<Self, SearchTextError> {
        let line = line(typed);
        if !(1..=SEARCH_CHARS_MAX).contains(&line.chars().count()) {
            return Err(SearchTextError::Length);
        }
        check(&line)?;
        match search_form(&line) {
            form if form.is_empty() => Err(SearchTextError::Length),
            form => Ok(Self(form)),
        }
    }

    /// The text as it is looked for.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The form in which texts are compared by a search: compatible characters made one (`Ａ` is `A`), small letters, no accents
/// on Latin, Greek and Cyrillic letters, and space for what separates words. What is searched and what is looked for
/// both go through it.
#[must_use]
pub fn search_form(text: &str) -> String {
    let apart = DecomposingNormalizerBorrowed::new_nfkd();
    let small: String = apart.normalize(text).chars().flat_map(char::to_lowercase).collect();
    // Some small letters come apart once more (`İ` is `i` and a dot).
    let small = apart.normalize(&small);
    let plain = small.chars().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).map(|character| match character {
        'ø' => 'o',
        'ł' => 'l',
        'đ' => 'd',
        'ı' => 'i',
        '\u{2019}' => '\'',
        '.' | ',' => ' ',
        dash if category(dash) == GeneralCategory::DashPunctuation => ' ',
        other => other,
    });
    line(&plain.collect::<String>())
}

impl Serialize for SearchText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SearchText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}
