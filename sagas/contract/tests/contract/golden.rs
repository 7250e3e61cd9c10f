//! Compares a message with its golden file, in both directions.

use std::{any::type_name, fs, path::PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A message, its file and its type's name.
pub(crate) struct Golden {
    pub(crate) file: &'static str,
    pub(crate) type_name: &'static str,
    check: Box<dyn Fn()>,
}

/// The folder of the golden files.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// `file` must hold exactly `example`, and read as it.
pub(crate) fn golden<T: Serialize + DeserializeOwned + 'static>(file: &'static str, example: T) -> Golden {
    let check = move || {
        let path = folder().join(format!("{file}.json"));
        let written = serde_json::to_value(&example).unwrap();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&example).unwrap())).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let stored: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(written, stored, "{file} is written otherwise");
        let read: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file} does not read: {error}"));
        assert_eq!(serde_json::to_value(&read).unwrap(), stored, "{file} reads as something else");
        // Journals and outboxes keep messages as values too; those must read alike.
        let read: T =
            serde_json::from_value(stored.clone()).unwrap_or_else(|error| panic!("{file} as a value: {error}"));
        assert_eq!(serde_json::to_value(&read).unwrap(), stored, "{file} reads as something else from a value");
    };
    Golden { file, type_name: type_name::<T>(), check: Box::new(check) }
}

impl Golden {
    pub(crate) fn check(&self) {
        (self.check)();
    }
}
