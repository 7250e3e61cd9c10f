//! A form that could not be done as it was filled in: its page comes back with what was typed kept, and the mistake at its input. A page
//! may have many forms, one for each of its rows; each has a name there.

use super::form::{Given, Wrong};

/// The one form of a page that comes back, if any.
#[derive(Debug, Default)]
pub(crate) struct Refilled(Option<Form>);

#[derive(Debug)]
struct Form {
    name: String,
    typed: Given,
    wrong: Wrong,
}

impl Refilled {
    pub(crate) fn new(form: impl Into<String>, typed: Given, wrong: Wrong) -> Self {
        Self(Some(Form { name: form.into(), typed, wrong }))
    }

    fn form(&self, form: &str) -> Option<&Form> {
        self.0.as_ref().filter(|known| known.name == form)
    }

    /// True for the form that comes back.
    pub(crate) fn is(&self, form: &str) -> bool {
        self.form(form).is_some()
    }

    /// The text that was typed into an input, to stand there again. A template asks for no password.
    pub(crate) fn typed(&self, form: &str, input: &str) -> &str {
        self.form(form).and_then(|form| form.typed.get(input)).map_or("", String::as_str)
    }

    /// The choice that was made in a list of the form, or another one where the form does not come back.
    pub(crate) fn chosen<'a>(&'a self, form: &str, input: &str, otherwise: &'a str) -> &'a str {
        if self.is(form) { self.typed(form, input) } else { otherwise }
    }

    /// The words for the mistake in an input, or with no input for that of the form as a whole.
    pub(crate) fn wrong(&self, form: &str, input: &str) -> Option<&str> {
        self.form(form).filter(|form| form.wrong.input == input).map(|form| form.wrong.words.as_str())
    }

    /// The attributes of an input: one that has the mistake is where the reader goes on, and leads to the words.
    pub(crate) fn marks(&self, form: &str, input: &str) -> &'static str {
        self.wrong(form, input).map_or("", |_| " autofocus aria-invalid=\"true\" aria-describedby=\"wrong\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_that_was_sent_comes_back_as_it_was_filled_in() {
        let typed: Given = [("reason", " "), ("scope", "feed@")].map(|(name, text)| (name.into(), text.into())).into();
        let forms = Refilled::new("pause", typed, Wrong::at("scope", "`feed@` names nothing"));
        assert_eq!((forms.typed("pause", "scope"), forms.typed("end", "scope")), ("feed@", ""));
        assert_eq!(forms.wrong("pause", "scope"), Some("`feed@` names nothing"));
        assert!(forms.marks("pause", "scope").contains("aria-invalid") && forms.marks("pause", "reason").is_empty());
        assert_eq!((forms.chosen("pause", "scope", "flights"), forms.chosen("end", "scope", "all")), ("feed@", "all"));
        assert!(forms.is("pause") && !forms.is("end") && !Refilled::default().is("pause"));
    }
}
