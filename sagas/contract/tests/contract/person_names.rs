//! Names: whatever people are called, in one spelling; and nothing that a reader cannot see.

use contract::{
    PersonName,
    person_name::{NAME_BYTES_MAX, NAME_CHARS_MAX, PersonNameError},
};
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup},
};
use proptest::prelude::*;

use crate::spellings::{decomposed, text};

/// Names as people have them. Each is written as it is kept.
const NAMES: &[&str] = &[
    "Ada",
    "O",
    "Jean-Luc",
    "O'Brien",
    "D\u{2019}Arcy",
    "Martin Luther King Jr.",
    "X \u{c6} A-12",
    "Zo\u{eb}",
    "Nguy\u{1ec5}n Th\u{1ecb} Minh Khai",
    "\u{141}ukasz \u{17b}\u{f3}\u{142}kiewski",
    "\u{2bb}Okina Kam\u{101}kau",
    "\u{1c3}X\u{f3}\u{f5}",
    "Σωκράτης",
    "Михаил",
    "Սարգսյան",
    "გიორგი",
    "ᏣᎳᎩ",
    "አበበ",
    "אַבְרָהָם",
    "محمد",
    "مُحَمَّد",
    // Persian: a zero width non-joiner keeps the two parts from joining.
    "علی\u{200c}رضا",
    "ܐܦܪܝܡ",
    "ߛߎߟߋߡߊ߫",
    "अजीत",
    "क्षितिज",
    "শর্মিষ্ঠা",
    // Bengali: ra, joiner, virama, ya keeps the ra whole.
    "র\u{200d}\u{9cd}যান্ডি",
    "ગુરુ",
    "ਗੁਰਪ੍ਰੀਤ",
    "முருகன்",
    "శ్రీనివాస్",
    "ಕೃಷ್ಣ",
    // Malayalam as it was written before its chillu letters were encoded: the joiner ends the word.
    "രാജന\u{d4d}\u{200d}",
    // Sinhala: the joiner makes the touching letters of Sri.
    "ශ\u{dca}\u{200d}රී",
    "สมชาย",
    "ພອນ",
    "အောင်",
    "សុខ",
    "བསྟན་འཛིན",
    // Mongolian: the vowel separator before the last vowel.
    "ᠰᠠᠷᠠ\u{180e}ᠠ",
    "김철수",
    "佐藤 花子",
    // Japanese registers know two shapes of this character.
    "葛\u{e0100}城",
    "さくら",
    "𞤀𞤁𞤀𞤃",
];

#[test]
fn names_of_all_scripts_are_names_in_composed_and_in_decomposed_spelling() {
    for name in NAMES {
        let read = PersonName::parse(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read.as_str(), *name);
        assert_eq!(PersonName::parse(&decomposed(name)).as_ref(), Ok(&read), "{name}, decomposed");
        assert_eq!(PersonName::parse(&format!("\u{a0} {name}\t\u{3000}")).as_ref(), Ok(&read), "{name}, with space");
    }
    assert_eq!(PersonName::parse("Ada  \u{3000} Lovelace").unwrap().as_str(), "Ada Lovelace");
}

#[test]
fn a_text_that_nobody_can_see_is_no_name() {
    for blank in ["", " ", "\u{a0}", "\u{3000}", "\u{1680}", "\t\n", "\u{85}"] {
        assert_eq!(PersonName::parse(blank), Err(PersonNameError::Empty), "{blank:?}");
    }
    let unseen = [
        "\u{200b}",
        "\u{200c}",
        "\u{200d}",
        "\u{200e}",
        "\u{202e}",
        "\u{2060}",
        "\u{2066}\u{2069}",
        "\u{feff}",
        "\u{ad}",
        "\u{34f}",
        "\u{61c}",
        "\u{115f}",
        "\u{1160}",
        "\u{3164}",
        "\u{ffa0}",
        "\u{17b4}",
        "\u{180b}",
        "\u{180e}",
        "\u{2800}",
        "\u{2800}\u{2800}",
        "\u{301}",
        "\u{20dd}",
        "\u{93e}",
        "\u{fe0f}",
        "\u{e0100}",
        "\u{e0041}\u{e007f}",
        "\u{1d159}",
        "\u{1d173}",
        "\u{13441}",
        "\u{fffc}",
        "\u{fff9}",
        "\u{e000}",
        "\u{f0000}",
        "\u{378}",
        "\u{ffff}",
        "\u{1fffe}",
        "\u{fdd0}",
        "\0",
        "\u{1b}",
        "\u{7f}",
        "\u{9b}",
    ];
    for unseen in unseen {
        for name in [unseen.to_owned(), format!(" {unseen}\u{a0}"), format!("{unseen} {unseen}")] {
            assert!(matches!(PersonName::parse(&name), Err(PersonNameError::Unfit(_))), "{name:?}");
        }
    }
}

#[test]
fn a_name_has_no_character_that_a_reader_would_miss() {
    for name in [
        "Ada\u{202e}ecalevoL",
        "\u{2066}Ada\u{2069}",
        "Ada\u{200b}Lovelace",
        "Ada\u{200d}Lovelace",
        "Ada\u{200c}",
        "\u{200c}علی",
        "علی\u{200c} رضا",
        "علی\u{200c}\u{200c}رضا",
        "علی\u{200c}Ada",
        "Ada\u{fe0f}",
        "葛\u{e0100}\u{e0100}",
        "Ada \u{301}b",
        "Ada\nLovelace",
        "Ada\r\nLovelace",
        "Ada\u{2028}Lovelace",
        "Ada\0",
        "Ada\u{ad}",
        "\u{feff}Ada",
        "Ada\u{3164}",
        "Ada\u{2800}Lovelace",
        "Ada\u{e000}",
        "Ada\u{e0041}",
    ] {
        assert!(matches!(PersonName::parse(name), Err(PersonNameError::Unfit(_))), "{name:?}");
    }
}

#[test]
fn no_single_character_of_unicode_is_a_name_that_cannot_be_seen() {
    let category = CodePointMapData::<GeneralCategory>::new();
    let never = GeneralCategoryGroup::Other.union(GeneralCategoryGroup::Separator).union(GeneralCategoryGroup::Mark);
    for character in '\0'..=char::MAX {
        let visible = !never.contains(category.get(character))
            && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character);
        let read = PersonName::parse(&character.to_string());
        assert!(visible || read.is_err(), "U+{:04X} alone is a name", u32::from(character));
        let letter = GeneralCategoryGroup::Letter.contains(category.get(character)) && visible;
        let blank = matches!(character, '\u{13441}' | '\u{13442}');
        // Some letters are kept as others (the Ohm sign is an omega), which may stand for more than one.
        assert!(!letter || blank || read.is_ok(), "U+{:04X} alone is no name", u32::from(character));
    }
}

#[test]
fn the_limit_of_a_name_counts_characters_as_they_are_kept() {
    let longest = "가".repeat(NAME_CHARS_MAX);
    assert_eq!(PersonName::parse(&decomposed(&longest)).unwrap().as_str(), longest);
    assert_eq!(PersonName::parse(&format!("{longest}힣")), Err(PersonNameError::TooLong));
    assert_eq!(PersonName::parse(&"a".repeat(NAME_BYTES_MAX + 1)), Err(PersonNameError::TooLong));
}

#[test]
fn a_refused_name_says_what_is_wrong_with_it() {
    let why = |name: &str| PersonName::parse(name).unwrap_err().to_string();
    assert_eq!(why(" "), "a name has at least one character that can be seen");
    assert_eq!(
        why("Ada\u{202e}"),
        "a name can be read by everybody: the character U+202E cannot be seen, or changes how its neighbors are seen: \
         leave it out"
    );
    let read = serde_json::from_str::<PersonName>("\"\\u200b\"").unwrap_err().to_string();
    assert!(read.contains("U+200B"), "{read}");
}

proptest! {
    #[test]
    fn a_name_reads_back_equal_has_one_spelling_and_nothing_hidden(typed in text()) {
        let read = PersonName::parse(&typed);
        prop_assert_eq!(&PersonName::parse(&decomposed(&typed)), &read);
        if let Ok(name) = read {
            prop_assert_eq!(&PersonName::parse(name.as_str()), &Ok(name.clone()));
            let json = serde_json::to_string(&name).unwrap();
            prop_assert_eq!(&serde_json::from_str::<PersonName>(&json).unwrap(), &name);
            prop_assert!(!name.as_str().chars().any(|c| CodePointSetData::new::<BidiControl>().contains(c)));
            prop_assert!(!name.as_str().chars().any(char::is_control));
        }
    }
}
