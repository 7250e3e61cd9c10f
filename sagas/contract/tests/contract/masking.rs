//! The masking of what is personal, over every document that there is an example of.

use std::fs;

use contract::personal;
use serde_json::Value;

use crate::golden::folder;

/// The personal texts of the examples, and the beginning of every payment token.
const PERSONAL: [&str; 5] = ["Zo\u{eb}", "Okafor", "1984-02-29", "zoe@example.com", "tok_"];

#[test]
fn nothing_personal_is_left_of_any_example_when_it_is_masked() {
    let mut masked_files = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Logins and accounts: a viewer reads none of them.
        if name.starts_with("user.") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut document: Value = serde_json::from_str(&text).unwrap();
        personal::mask(&mut document);
        let masked = document.to_string();
        for personal in PERSONAL {
            assert!(!masked.contains(personal), "{name} shows {personal} when it is masked");
        }
        masked_files += usize::from(PERSONAL.iter().any(|personal| text.contains(personal)));
    }
    assert!(masked_files > 5, "the examples have lost their people: {masked_files}");
}
