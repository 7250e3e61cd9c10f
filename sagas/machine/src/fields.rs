//! The fields of a type, told by the type itself: it is read from a document that holds one field at a time, and that notes
//! how the value is asked for. So forms follow the types, and no list beside them can grow old.

use std::cell::Cell;

use contract::orchestrator_api::{FieldKind, FieldShape};
use serde::{
    de::{
        DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor,
        value::{Error, StrDeserializer},
    },
    forward_to_deserialize_any,
};

/// The fields by which a sum of money is known.
const MONEY: [&str; 2] = ["amount", "currency"];

/// The texts that a field is offered, and its kind when it takes them: a field that takes any text takes the first.
const OFFERED: [(&str, FieldKind); 3] =
    [("text", FieldKind::Text), ("2027-01-15T08:00:00Z", FieldKind::Time), ("2027-01-15", FieldKind::Date)];

/// The fields of a struct, in its order; none of any other type.
pub(crate) fn of<T: DeserializeOwned>() -> Option<Vec<FieldShape>> {
    let names = Cell::new(None);
    T::deserialize(Whole { names: &names, shown: None }).ok();
    let names: &[&str] = names.get()?;
    Some(names.iter().map(|name| field::<T>(name)).collect())
}

fn field<T: DeserializeOwned>(name: &'static str) -> FieldShape {
    let notes = Notes::default();
    for (text, kind) in OFFERED {
        T::deserialize(Whole { names: &Cell::new(None), shown: Some(One { name, text, notes: &notes }) }).ok();
        match notes.kind.get() {
            FieldKind::Text if notes.taken.get() => notes.kind.set(kind),
            // A text of a form of its own, such as an id: the next offer may fit.
            FieldKind::Text => continue,
            _ => {}
        }
        break;
    }
    FieldShape { name: name.to_owned(), kind: notes.kind.get(), required: !notes.optional.get() }
}

/// How the value of a field was asked for.
struct Notes {
    kind: Cell<FieldKind>,
    optional: Cell<bool>,
    /// True when the offered text was taken.
    taken: Cell<bool>,
}

impl Default for Notes {
    fn default() -> Self {
        Self { kind: Cell::new(FieldKind::Json), optional: Cell::new(false), taken: Cell::new(false) }
    }
}

/// The whole document: it notes the names of the fields, and holds one of them or none.
struct Whole<'a> {
    names: &'a Cell<Option<&'static [&'static str]>>,
    shown: Option<One<'a>>,
}

impl<'de> Deserializer<'de> for Whole<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.names.set(Some(fields));
        self.shown.map_or_else(|| Err(Error::custom("no field is shown")), |one| visitor.visit_map(one))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

/// The one field that is shown.
struct One<'a> {
    name: &'static str,
    text: &'static str,
    notes: &'a Notes,
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let name = std::mem::take(&mut self.name);
        if name.is_empty() { Ok(None) } else { seed.deserialize(StrDeserializer::new(name)).map(Some) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let read = seed.deserialize(Asked { text: self.text, notes: self.notes });
        self.notes.taken.set(read.is_ok());
        read
    }
}

/// The value of that field.
struct Asked<'a> {
    text: &'static str,
    notes: &'a Notes,
}

impl Asked<'_> {
    fn note<T>(&self, kind: FieldKind) -> Result<T, Error> {
        self.notes.kind.set(kind);
        Err(Error::custom("only its kind is asked for"))
    }
}

/// Methods that note the kind of a value and give none.
macro_rules! note {
    ($kind:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            self.note(FieldKind::$kind)
        })*
    };
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Error;

    note! { Json: deserialize_any }
    note! { YesNo: deserialize_bool }
    note! {
        Number: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32
            deserialize_u64 deserialize_f32 deserialize_f64
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.notes.kind.set(FieldKind::Text);
        visitor.visit_str(self.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.notes.optional.set(true);
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.note(if fields == MONEY { FieldKind::Money } else { FieldKind::Json })
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate, Utc};
    use contract::{OrderId, money::Money};
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    struct Reply {
        reference: String,
        order_id: OrderId,
        total: Money,
        paid: Option<Money>,
        expires_at: DateTime<Utc>,
        day: Option<NaiveDate>,
        seats: u16,
        final_word: bool,
        #[serde(default)]
        tickets: Vec<String>,
    }

    #[test]
    fn a_type_tells_its_fields_with_their_kinds() {
        let told: Vec<_> =
            of::<Reply>().unwrap().into_iter().map(|field| (field.name, field.kind, field.required)).collect();
        let field = |name: &str, kind, required| (name.to_owned(), kind, required);
        assert_eq!(
            told,
            [
                field("reference", FieldKind::Text, true),
                field("order_id", FieldKind::Text, true),
                field("total", FieldKind::Money, true),
                field("paid", FieldKind::Money, false),
                field("expires_at", FieldKind::Time, true),
                field("day", FieldKind::Date, false),
                field("seats", FieldKind::Number, true),
                field("final_word", FieldKind::YesNo, true),
                field("tickets", FieldKind::Json, true),
            ]
        );
        assert_eq!(of::<Vec<String>>(), None);
    }
}
