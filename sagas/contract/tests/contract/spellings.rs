//! Texts as people and troublemakers type them, for the properties of every type that holds typed text.

use icu_normalizer::DecomposingNormalizerBorrowed;
use proptest::prelude::*;

/// The decomposed form (NFD), as some keyboards and file systems write it.
pub(crate) fn decomposed(text: &str) -> String {
    DecomposingNormalizerBorrowed::new_nfd().normalize(text).into_owned()
}

/// Short texts of many scripts, with the characters that make trouble far more often than chance has them.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let letter =
        prop::sample::select("aZé\u{e5}ßıİſΣςяעאمیکرার্ಕශവ\u{d4d}ന가힣가葛神ᠰᠠńǰ\u{1e0b}".chars().collect::<Vec<_>>());
    let mark =
        prop::sample::select("\u{301}\u{308}\u{323}\u{5b0}\u{64e}\u{93c}\u{9cd}\u{11a8}".chars().collect::<Vec<_>>());
    let unseen = prop::sample::select(
        "\u{200b}\u{200c}\u{200d}\u{180e}\u{fe0f}\u{e0100}\u{202e}\u{2066}\u{3164}\u{ad}\u{34f}\u{e0041}\u{feff}\0\n\u{2028}"
            .chars()
            .collect::<Vec<_>>(),
    );
    let space = prop::sample::select(" \u{a0}\u{2003}\u{3000}\t".chars().collect::<Vec<_>>());
    let sign = prop::sample::select(".@'-_+7\u{2764}".chars().collect::<Vec<_>>());
    let character = prop_oneof![6 => letter, 2 => mark, 1 => unseen, 1 => space, 1 => sign, 1 => any::<char>()];
    prop::collection::vec(character, 0..12).prop_map(|characters| characters.into_iter().collect())
}
