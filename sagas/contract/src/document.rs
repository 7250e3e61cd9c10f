//! JSON that is passed on as it came: a saga's input, the replies to its commands. Its text is shared and never copied,
//! and it is read as its type once, by the first who needs it.

use std::{
    any::Any,
    fmt,
    sync::{Arc, LazyLock, OnceLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

/// A JSON document. Two are equal when their values are.
///
/// Like any raw JSON of serde_json it cannot be read by way of serde's buffer, so not within a flattened or a tagged type.
#[derive(Clone)]
pub struct Document(Arc<Inner>);

struct Inner {
    json: Box<RawValue>,
    read: OnceLock<Arc<dyn Any + Send + Sync>>,
}

static NULL: LazyLock<Document> = LazyLock::new(|| Document::from(Value::Null));

impl Document {
    /// The JSON as it came.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.json.get()
    }

    /// The document as a `T`. What was read first is kept, and given again to all that ask for the same type.
    ///
    /// # Errors
    /// When it is no `T`.
    pub fn read<T: DeserializeOwned + Send + Sync + 'static>(&self) -> serde_json::Result<Arc<T>> {
        if let Some(Ok(read)) = self.0.read.get().map(|read| Arc::clone(read).downcast()) {
            return Ok(read);
        }
        let read: Arc<T> = Arc::new(serde_json::from_str(self.text())?);
        // When another was faster both have read the same.
        self.0.read.set(Arc::<T>::clone(&read)).ok();
        Ok(read)
    }

    /// The document as a tree, for views.
    ///
    /// # Errors
    /// When it has a number or a text that a tree cannot hold.
    pub fn to_value(&self) -> serde_json::Result<Value> {
        serde_json::from_str(self.text())
    }
}

impl From<Box<RawValue>> for Document {
    fn from(json: Box<RawValue>) -> Self {
        Self(Arc::new(Inner { json, read: OnceLock::new() }))
    }
}

impl From<Value> for Document {
    fn from(value: Value) -> Self {
        Self::from(to_raw_value(&value).expect("a tree of JSON can always be written"))
    }
}

impl Default for Document {
    /// The document `null`.
    fn default() -> Self {
        NULL.clone()
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        let same_value = || matches!((self.to_value(), other.to_value()), (Ok(one), Ok(other)) if one == other);
        self.text() == other.text() || same_value()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_keeps_its_text_and_is_read_as_its_type_once() {
        let document: Document = serde_json::from_str(r#"{ "b": [1.50], "a": null }"#).unwrap();
        assert_eq!(serde_json::to_string(&document).unwrap(), r#"{ "b": [1.50], "a": null }"#);
        let first = document.clone().read::<Value>().unwrap();
        assert!(Arc::ptr_eq(&first, &document.read().unwrap()));
        assert!(document.read::<Vec<u8>>().is_err());
        assert_eq!(document, Document::from(Value::clone(&first)));
        assert_ne!(document, Document::default());
    }

    #[test]
    fn a_document_goes_through_a_tree_and_back() {
        let value = serde_json::json!({"reply": {"seats": [1, 2]}, "none": null});
        let document: Document = serde_json::from_value(value.clone()).unwrap();
        assert_eq!((serde_json::to_value(&document).unwrap(), document.to_value().unwrap()), (value.clone(), value));
    }
}
