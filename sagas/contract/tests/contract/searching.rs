//! Texts to look for: one text has one meaning, however it is typed.

use contract::text::{SEARCH_CHARS_MAX, SearchText, SearchTextError, search_form};
use proptest::prelude::*;

use crate::spellings::{decomposed, text};

#[test]
fn what_is_typed_finds_what_it_names_with_or_without_accents_and_capitals() {
    for (typed, form) in [
        ("Maldives", "maldives"),
        ("  Malé ", "male"),
        ("Male\u{301}", "male"),
        ("ZÜRICH", "zurich"),
        ("São  Paulo", "sao paulo"),
        ("Ｐａｒｉｓ", "paris"),
        ("Αθήνα", "αθηνα"),
        ("İstanbul", "istanbul"),
        ("  St. Barths ", "st barths"),
        ("Saint\u{2010}Barthélemy", "saint barthelemy"),
        ("Côte d\u{2019}Azur", "cote d'azur"),
        ("Ærø", "æro"),
        ("東京", "東京"),
        ("\u{1100}\u{1161}", "가"),
        ("\u{5de}\u{5b8}", "\u{5de}\u{5b8}"),
    ] {
        assert_eq!(SearchText::parse(typed).unwrap().as_str(), form, "{typed}");
        assert_eq!(SearchText::parse(&decomposed(typed)).unwrap().as_str(), form, "{typed}, decomposed");
    }
}

#[test]
fn what_cannot_be_looked_for_is_refused() {
    let long = "a".repeat(SEARCH_CHARS_MAX + 1);
    for wrong in ["", "  ", " - ", &long] {
        assert_eq!(SearchText::parse(wrong), Err(SearchTextError::Length), "{wrong}");
    }
    for unseen in ["\u{200b}", "Paris\0", "Pa\u{202e}ris", "Pa\u{ad}ris"] {
        assert!(matches!(SearchText::parse(unseen), Err(SearchTextError::Unfit(_))), "{unseen:?}");
    }
}

proptest! {
    #[test]
    fn the_form_of_a_search_is_its_own_form(typed in text()) {
        let form = search_form(&typed);
        prop_assert_eq!(&search_form(&form), &form);
        prop_assert_eq!(&search_form(&decomposed(&typed)), &form);
    }
}
