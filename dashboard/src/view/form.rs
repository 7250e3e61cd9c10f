//! Forms that follow a type or a document: the fields of a reply that a person gives in a participant's place, and the fields
//! of a command as it would be sent, of which only those that were changed become the edit.

use std::collections::BTreeMap;

use contract::{
    orchestrator_api::{FieldKind, FieldShape},
    personal::MASKED,
};
use serde_json::{Map, Value, json};

use super::names;

/// The texts that a form brought, by the names of its inputs.
pub(crate) type Given = BTreeMap<String, String>;

/// The beginning of the names of inputs, so that none has the name of a field of the page.
const PREFIX: &str = "f.";
/// The end of the name of the second input of a sum.
const CURRENCY: &str = ".currency";

/// An input for one field of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) kind: FieldKind,
    pub(crate) value: String,
    /// Beside the amount of a sum.
    pub(crate) currency: String,
    pub(crate) required: bool,
    /// True for a value that is not shown: left empty, it stays as it is.
    pub(crate) masked: bool,
}

impl Input {
    /// The word of the kind, for the template.
    pub(crate) const fn word(&self) -> &'static str {
        match self.kind {
            FieldKind::Text => "text",
            FieldKind::Time => "time",
            FieldKind::Date => "date",
            FieldKind::Number => "number",
            FieldKind::YesNo => "yes_no",
            FieldKind::Money => "money",
            FieldKind::Json => "json",
        }
    }
}

/// A mistake in a form: the name of the input that it is in, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Empty for a mistake of no single input.
    pub(crate) input: String,
    pub(crate) words: String,
}

impl Wrong {
    pub(crate) fn at(input: &str, words: impl Into<String>) -> Self {
        Self { input: input.to_owned(), words: words.into() }
    }

    /// A refusal that says at which place of the document the mistake is, such as `... at /payment_id`. It stands at the input of that
    /// place.
    pub(crate) fn placed(words: &str, inputs: &[Input]) -> Self {
        let place = words.rsplit_once(" at /").and_then(|(_, place)| place.split(' ').next()).unwrap_or_default();
        let holds = |input: &&Input| {
            let path = input.name.strip_prefix(PREFIX).unwrap_or_default();
            place.strip_prefix(path).is_some_and(|below| below.is_empty() || below.starts_with('/'))
        };
        Self::at(inputs.iter().find(holds).map_or("", |input| &input.name), words)
    }
}

/// The mistake of a form that is shown again, if it has one.
pub(crate) struct Mistake(pub(crate) Option<Wrong>);

impl Mistake {
    /// The words for the mistake in the input of this name, or with no name for that of no single input.
    pub(crate) fn at(&self, input: &str) -> Option<&str> {
        self.0.as_ref().filter(|wrong| wrong.input == input).map(|wrong| wrong.words.as_str())
    }

    /// The attributes of an input: one that has the mistake is where the reader goes on, and leads to the words.
    pub(crate) fn marks(&self, input: &str) -> &'static str {
        self.at(input).map_or("", |_| " autofocus aria-invalid=\"true\" aria-describedby=\"wrong\"")
    }
}

/// The source of a form.
pub(crate) enum Source {
    /// The fields of a type.
    Type(Vec<FieldShape>),
    /// A command as it would be sent.
    Command(Value),
    /// Nothing is known but that it is JSON.
    Json,
}

impl Source {
    pub(crate) fn inputs(&self, given: &Given) -> Vec<Input> {
        match self {
            Self::Type(shapes) => shapes.iter().map(|shape| of_shape(shape, given)).collect(),
            Self::Command(payload) => {
                let mut leaves = Vec::new();
                collect(&mut Vec::new(), payload, &mut leaves);
                leaves.into_iter().map(|leaf| leaf.shown(given)).collect()
            }
            Self::Json => Vec::new(),
        }
    }

    /// The reply, the payload or the patch that the form says.
    pub(crate) fn read(&self, given: &Given) -> Result<Value, Wrong> {
        match self {
            Self::Type(shapes) => document(shapes, given),
            Self::Command(payload) => patch(payload, given),
            Self::Json => Err(Wrong::at("", "There is no form for it: write it as JSON.")),
        }
    }
}

fn text<'g>(given: &'g Given, name: &str) -> Option<&'g str> {
    given.get(name).map(|text| text.trim())
}

fn of_shape(shape: &FieldShape, given: &Given) -> Input {
    let name = format!("{PREFIX}{}", shape.name);
    Input {
        label: names::title(&shape.name),
        kind: shape.kind,
        value: text(given, &name).unwrap_or_default().to_owned(),
        currency: text(given, &format!("{name}{CURRENCY}")).unwrap_or_default().to_owned(),
        required: shape.required,
        masked: false,
        name,
    }
}

fn document(shapes: &[FieldShape], given: &Given) -> Result<Value, Wrong> {
    let mut fields = Map::new();
    for shape in shapes {
        let input = of_shape(shape, given);
        if !input.value.is_empty() {
            fields.insert(shape.name.clone(), value(&input)?);
        } else if shape.required {
            return Err(Wrong::at(&input.name, format!("{} is needed.", input.label)));
        }
    }
    Ok(Value::Object(fields))
}

/// The value that an input says.
fn value(input: &Input) -> Result<Value, Wrong> {
    let Input { name, value, label, .. } = input;
    let wrong = |words: String| Wrong::at(name, words);
    Ok(match input.kind {
        FieldKind::Text | FieldKind::Time | FieldKind::Date => json!(value),
        FieldKind::Money => json!({ "amount": value, "currency": input.currency }),
        FieldKind::YesNo => json!(value == "true"),
        FieldKind::Number => {
            Value::Number(value.parse().map_err(|_| wrong(format!("{label}: `{value}` is no number.")))?)
        }
        FieldKind::Json => {
            serde_json::from_str(value).map_err(|error| wrong(format!("{label} is not JSON: {error}.")))?
        }
    })
}

/// A value of a command that is edited as a whole.
struct Leaf {
    path: Vec<String>,
    kind: FieldKind,
    value: Value,
}

/// The leaves of a document: scalars, sums and lists. What is absent has none; it is given as JSON.
fn collect(path: &mut Vec<String>, value: &Value, leaves: &mut Vec<Leaf>) {
    let kind = match value {
        Value::Null => return,
        Value::Bool(_) => FieldKind::YesNo,
        Value::Number(_) => FieldKind::Number,
        Value::String(_) => FieldKind::Text,
        Value::Array(_) => FieldKind::Json,
        Value::Object(_) if is_money(value) => FieldKind::Money,
        Value::Object(fields) => {
            for (name, value) in fields {
                path.push(name.clone());
                collect(path, value, leaves);
                path.pop();
            }
            return;
        }
    };
    leaves.push(Leaf { path: path.clone(), kind, value: value.clone() });
}

/// True for an amount with its currency.
pub(crate) fn is_money(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|fields| fields.len() == 2 && fields.contains_key("amount") && fields.contains_key("currency"))
}

impl Leaf {
    /// The input with the value as it is.
    fn input(&self) -> Input {
        let masked = has_masked(&self.value);
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let shown = match &self.value {
            Value::String(text) => text.clone(),
            Value::Object(_) => text(self.value.get("amount")),
            Value::Array(_) => serde_json::to_string_pretty(&self.value).unwrap_or_default(),
            Value::Null | Value::Bool(_) | Value::Number(_) => self.value.to_string(),
        };
        Input {
            name: format!("{PREFIX}{}", self.path.join("/")),
            label: self.path.iter().map(|part| names::words(part)).collect::<Vec<_>>().join(", "),
            kind: self.kind,
            value: if masked { String::new() } else { shown },
            currency: text(self.value.get("currency")),
            required: false,
            masked,
        }
    }

    /// The input with the value that was given for it, if any.
    fn shown(&self, given: &Given) -> Input {
        let input = self.input();
        let value = text(given, &input.name).map_or_else(|| input.value.clone(), str::to_owned);
        let currency = text(given, &format!("{}{CURRENCY}", input.name)).unwrap_or(&input.currency).to_owned();
        Input { value, currency, ..input }
    }
}

fn has_masked(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(MASKED),
        Value::Array(items) => items.iter().any(has_masked),
        Value::Object(fields) => fields.values().any(has_masked),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The merge patch of the leaves that were changed.
fn patch(payload: &Value, given: &Given) -> Result<Value, Wrong> {
    let mut leaves = Vec::new();
    collect(&mut Vec::new(), payload, &mut leaves);
    let mut patch = json!({});
    for leaf in leaves {
        let (before, after) = (leaf.input(), leaf.shown(given));
        let left_masked = before.masked && after.value.is_empty();
        if left_masked || (after.value.replace("\r\n", "\n") == before.value && after.currency == before.currency) {
            continue;
        }
        let changed = value(&after)?;
        if changed != leaf.value {
            put(&mut patch, &leaf.path, changed);
        }
    }
    Ok(patch)
}

fn put(patch: &mut Value, path: &[String], value: Value) {
    match path {
        [] => *patch = value,
        [name, below @ ..] => {
            if !patch.is_object() {
                *patch = json!({});
            }
            put(&mut patch[name.as_str()], below, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Given {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_form_of_a_type_becomes_its_document_and_says_which_field_is_wrong() {
        let shape = |name: &str, kind, required| FieldShape { name: name.to_owned(), kind, required };
        let source = Source::Type(vec![
            shape("reference", FieldKind::Text, true),
            shape("total", FieldKind::Money, true),
            shape("seats", FieldKind::Number, false),
            shape("tickets", FieldKind::Json, false),
        ]);
        let whole = given(&[
            ("f.reference", " by phone "),
            ("f.total", "12.50"),
            ("f.total.currency", "EUR"),
            ("f.tickets", "[\"1\"]"),
        ]);
        let expected =
            json!({"reference": "by phone", "total": {"amount": "12.50", "currency": "EUR"}, "tickets": ["1"]});
        assert_eq!(source.read(&whole).unwrap(), expected);
        assert_eq!(source.inputs(&whole)[1].currency, "EUR");
        assert_eq!(source.read(&given(&[])).unwrap_err(), Wrong::at("f.reference", "Reference is needed."));
        let wrong = given(&[("f.reference", "x"), ("f.total", "1"), ("f.seats", "two")]);
        assert_eq!(source.read(&wrong).unwrap_err(), Wrong::at("f.seats", "Seats: `two` is no number."));
        let refused = |words: &str| Wrong::placed(words, &source.inputs(&wrong)).input;
        assert_eq!(refused("the reply is not PaymentTaken: no sum at /total/amount"), "f.total");
        assert_eq!(refused("the reply is not PaymentTaken: no sum at /total (reply_mismatch)"), "f.total");
        assert_eq!(refused("the reply is not PaymentTaken: no sum at /totals"), "");
        assert_eq!(refused("the reply is not PaymentTaken"), "");
    }

    #[test]
    fn an_edit_has_only_what_was_changed_and_never_what_was_masked() {
        let source = Source::Command(json!({
            "order_id": "ord_1", "total": {"amount": "10.00", "currency": "EUR"}, "guest": {"email": MASKED, "vip": false},
            "travellers": [{"given_name": MASKED}], "note": null,
        }));
        let inputs = source.inputs(&given(&[]));
        let mut labels: Vec<_> = inputs.iter().map(|input| (input.name.as_str(), input.masked)).collect();
        labels.sort_unstable();
        assert_eq!(
            labels,
            [
                ("f.guest/email", true),
                ("f.guest/vip", false),
                ("f.order_id", false),
                ("f.total", false),
                ("f.travellers", true)
            ]
        );
        let as_shown = inputs.iter().map(|input| (input.name.clone(), input.value.clone())).collect();
        assert_eq!(source.read(&as_shown).unwrap(), json!({}));
        let changed = given(&[("f.total", "9.00"), ("f.guest/vip", "true"), ("f.guest/email", "")]);
        assert_eq!(
            source.read(&changed).unwrap(),
            json!({"guest": {"vip": true}, "total": {"amount": "9.00", "currency": "EUR"}})
        );
        assert_eq!(source.read(&given(&[("f.total.currency", "USD")])).unwrap()["total"]["currency"], "USD");
    }
}
