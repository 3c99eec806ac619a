//! Actions as forms: what can be done now, and what cannot, with the reason.

use maud::{Markup, html};

/// Why an action cannot be taken now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden(pub String);

/// A field of an action.
#[derive(Clone, Debug)]
pub enum Field<'a> {
    /// A value that goes with the form unseen.
    Hidden(&'a str, String),
    /// A line of text that has to be filled in.
    Text(&'a str, &'a str),
    /// A line of text that may stay empty.
    Optional(&'a str, &'a str),
    /// A whole number that has to be filled in, from this least value on.
    Number(&'a str, &'a str, i64),
    /// One of these values, with their texts.
    Choice(&'a str, &'a str, Vec<(&'a str, &'a str)>),
}

/// An action: a button with its fields, or the same with the reason why not.
#[derive(Clone, Debug)]
pub struct Action<'a> {
    /// Where the form goes.
    pub to: String,
    /// The text of the button.
    pub text: &'a str,
    /// What it would do, in a sentence; may be empty.
    pub does: &'a str,
    /// Its fields.
    pub fields: Vec<Field<'a>>,
    /// Whether it cannot be undone.
    pub is_grave: bool,
    /// Why it cannot be taken, if it cannot.
    pub forbidden: Option<Forbidden>,
}

impl Action<'_> {
    /// The form.
    #[must_use]
    pub fn render(&self) -> Markup {
        let forbidden = self.forbidden.is_some();
        html! {
            form .action method="post" action=(self.to) {
                @if !self.does.is_empty() { p .does { (self.does) } }
                @if let Some(Forbidden(why)) = &self.forbidden {
                    button type="button" disabled { (self.text) }
                    " " span .why { "Not now: " (why) }
                } @else {
                    @for field in &self.fields { (self.field(field)) }
                    button .grave[self.is_grave] type="submit" disabled[forbidden] { (self.text) }
                }
            }
        }
    }

    fn field(&self, field: &Field<'_>) -> Markup {
        html! {
            @match field {
                Field::Hidden(name, value) => input type="hidden" name=(name) value=(value);,
                Field::Text(name, label) => label { (label) input type="text" name=(name) required maxlength="200"; },
                Field::Optional(name, label) => label { (label) input type="text" name=(name) maxlength="200"; },
                Field::Number(name, label, least) =>
                    label { (label) input type="number" name=(name) min=(least) step="1" required; },
                Field::Choice(name, label, values) => label {
                    (label)
                    select name=(name) { @for (value, text) in values { option value=(value) { (text) } } }
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_done_is_shown_with_its_reason_and_cannot_be_sent() {
        let action = |forbidden| Action {
            to: "/do".to_owned(),
            text: "Cancel",
            does: "",
            fields: vec![Field::Text("note", "Why"), Field::Hidden("seen", "<1>".to_owned())],
            is_grave: true,
            forbidden,
        };
        let possible = action(None).render().into_string();
        assert!(possible.contains("type=\"submit\"") && possible.contains("name=\"note\" required"));
        assert!(possible.contains("value=\"&lt;1&gt;\""), "{possible}");
        let not = action(Some(Forbidden("it is <over>".to_owned()))).render().into_string();
        assert!(not.contains("disabled") && !not.contains("type=\"submit\"") && !not.contains("<input"));
        assert!(not.contains("Not now: it is &lt;over&gt;"), "{not}");
    }
}
