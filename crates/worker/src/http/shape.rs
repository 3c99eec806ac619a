//! What a JSON document may look like, written down once: from it a request is examined, every mistake with its pointer,
//! and the document of the API is made. Must never decide whether a value makes sense; only whether it has the form.

use std::fmt::Write;

use serde_json::{Map, Number, Value, json};

use super::problem::{FRACTIONAL, WRONG_TYPE, Wrong};

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Any text.
    Text,
    /// A moment, RFC 3339.
    Time,
    /// An id.
    Id,
    /// A whole number of 64 bits.
    Integer,
    /// A whole number of units of a product.
    Units,
    /// True or false.
    Boolean,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// Members with names. As a part of something else it goes under a name of its own, so that clients made from the
    /// document have a type for it.
    Object(&'static [Member]),
    /// What stands under its name in the document, and is referred to.
    Named(&'static Schema),
    /// Any names, each with a whole number.
    Counts,
    /// Any names, each with a text.
    Texts,
    /// Any number of the same.
    List(&'static Shape),
    /// Anything.
    Any,
}

/// A member of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) presence: Presence,
    pub(super) shape: Shape,
    pub(super) about: &'static str,
}

/// Whether a member must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It must.
    Required,
    /// It may be left out, or be null.
    Optional,
}

pub(super) const fn need(name: &'static str, shape: Shape, about: &'static str) -> Member {
    Member { name, presence: Presence::Required, shape, about }
}

pub(super) const fn may(name: &'static str, shape: Shape, about: &'static str) -> Member {
    Member { name, presence: Presence::Optional, shape, about }
}

/// An amount of money.
pub(super) const AMOUNT: Shape = Shape::Named(&Schema {
    name: "Money",
    shape: Shape::Object(&[
        need("minor", Shape::Integer, "Minor units: cents, pence, yen."),
        need("currency", Shape::Text, "ISO 4217 code."),
    ]),
});

/// What to do about goods that are not sold by the piece.
pub(super) const WHOLE_UNITS: &str = "goods by weight or length are sold in a smaller whole unit, such as grams: see docs/recipes/goods-by-weight.md";

/// A shape under a name, for the document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schema {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

impl Shape {
    /// Whether units of a product are counted in it.
    pub(super) fn has_units(&self) -> bool {
        match self {
            Self::Units => true,
            Self::Object(members) => members.iter().any(|member| member.shape.has_units()),
            Self::Named(schema) => schema.shape.has_units(),
            Self::List(of) => of.has_units(),
            Self::Text | Self::Time | Self::Id | Self::Integer | Self::Boolean => false,
            Self::Choice(_) | Self::Counts | Self::Texts | Self::Any => false,
        }
    }

    /// Everything about the value that has not this form.
    pub(super) fn examine(&self, value: &Value) -> Vec<Wrong> {
        let mut found = Vec::new();
        self.walk(value, &mut String::new(), &mut found);
        found
    }

    fn walk(&self, value: &Value, pointer: &mut String, found: &mut Vec<Wrong>) {
        match (self, value) {
            (Self::Named(schema), _) => schema.shape.walk(value, pointer, found),
            (Self::Object(members), Value::Object(object)) => members_of(members, object, pointer, found),
            (Self::List(of), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    within(pointer, &index.to_string(), |pointer| of.walk(item, pointer, found));
                }
            }
            (Self::Texts, Value::Object(object)) => {
                for (name, text) in object {
                    within(pointer, name, |pointer| Self::Text.walk(text, pointer, found));
                }
            }
            (Self::Counts, Value::Object(object)) => {
                for (name, count) in object {
                    within(pointer, name, |pointer| Self::Integer.walk(count, pointer, found));
                }
            }
            _ if self.fits(value) => {}
            _ => found.push(self.mismatch(value, pointer)),
        }
    }

    /// Whether a value without parts has this form.
    fn fits(&self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Time => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
            Self::Id => value.as_str().is_some_and(|text| uuid::Uuid::try_parse(text).is_ok()),
            Self::Integer | Self::Units => is_whole(value),
            Self::Boolean => value.is_boolean(),
            Self::Choice(words) => value.as_str().is_some_and(|text| words.contains(&text)),
            Self::Any => true,
            Self::Named(schema) => schema.shape.fits(value),
            Self::Object(_) | Self::Counts | Self::Texts | Self::List(_) => false,
        }
    }

    fn mismatch(&self, value: &Value, pointer: &str) -> Wrong {
        let code = match (self, value) {
            (Self::Choice(_), Value::String(_)) => "unknown_value",
            (Self::Time, Value::String(_)) => "invalid_time",
            (Self::Units, Value::Number(number)) if is_fraction(number) => FRACTIONAL,
            _ => WRONG_TYPE,
        };
        Wrong::at(pointer, code, format!("must be {}, this is {}", self.expected(), found_kind(value)))
    }

    fn expected(&self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Time => "a moment such as 2026-01-31T12:00:00Z".to_owned(),
            Self::Id => "an id".to_owned(),
            Self::Integer => "a whole number of at most 64 bits".to_owned(),
            Self::Units => format!("a whole number of units ({WHOLE_UNITS})"),
            Self::Boolean => "true or false".to_owned(),
            Self::Named(schema) => schema.shape.expected(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Object(_) | Self::Counts | Self::Texts => "an object".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Any => "anything".to_owned(),
        }
    }

    /// The same as a JSON Schema.
    pub(super) fn to_schema(self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Time => json!({"type": "string", "format": "date-time"}),
            Self::Id => json!({"type": "string", "format": "uuid"}),
            Self::Integer | Self::Units => json!({"type": "integer", "format": "int64"}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::Choice(words) => json!({"type": "string", "enum": words}),
            Self::Object(members) => object_schema(members),
            Self::Named(schema) => reference(schema.name),
            Self::Counts => json!({"type": "object", "additionalProperties": {"type": "integer"}}),
            Self::Texts => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            Self::List(of) => json!({"type": "array", "items": of.to_schema()}),
            Self::Any => json!({}),
        }
    }

    /// The same where null stands for leaving it out.
    fn to_nullable_schema(self) -> Value {
        let mut schema = self.to_schema();
        if let Self::Named(_) = self {
            return json!({"oneOf": [schema, {"type": "null"}]});
        }
        if let Some(kind) = schema.get_mut("type") {
            *kind = json!([kind.clone(), "null"]);
        }
        if let Some(Value::Array(words)) = schema.get_mut("enum") {
            words.push(Value::Null);
        }
        schema
    }

    /// Adds all that goes under a name in it to what is known.
    pub(super) fn name_parts(&self, known: &mut Map<String, Value>) {
        match self {
            Self::Named(schema) => schema.name_parts(known),
            Self::Object(members) => members.iter().for_each(|member| member.shape.name_parts(known)),
            Self::List(of) => of.name_parts(known),
            Self::Text | Self::Time | Self::Id | Self::Integer | Self::Units | Self::Boolean => {}
            Self::Choice(_) | Self::Counts | Self::Texts | Self::Any => {}
        }
    }
}

impl Schema {
    /// Adds it and all that goes under a name in it to what is known.
    pub(super) fn name_parts(&self, known: &mut Map<String, Value>) {
        let schema = self.shape.to_schema();
        if let Some(other) = known.insert(self.name.to_owned(), schema.clone()) {
            assert_eq!(other, schema, "two schemas are called {}", self.name);
        }
        self.shape.name_parts(known);
    }
}

/// Where the document has what goes under this name.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn members_of(members: &[Member], object: &Map<String, Value>, pointer: &mut String, found: &mut Vec<Wrong>) {
    for member in members {
        within(pointer, member.name, |pointer| match (object.get(member.name), member.presence) {
            (None | Some(Value::Null), Presence::Optional) => {}
            (None, Presence::Required) => {
                found.push(Wrong::at(&*pointer, "missing", format!("'{}' is missing", member.name)));
            }
            (Some(value), _) => member.shape.walk(value, pointer, found),
        });
    }
    for name in object.keys().filter(|name| members.iter().all(|member| member.name != *name)) {
        within(pointer, name, |pointer| {
            let known: Vec<&str> = members.iter().map(|member| member.name).collect();
            let detail = format!("there is no such member; there are {}", known.join(", "));
            found.push(Wrong::at(&*pointer, "unknown_member", detail));
        });
    }
}

/// Whether a number is a whole one of at most 64 bits, however it is spelled.
fn is_whole(value: &Value) -> bool {
    let spelled_otherwise = value.as_f64().filter(|_| value.is_f64());
    value.is_i64() || spelled_otherwise.and_then(application::whole_number::of_float).is_some()
}

fn is_fraction(number: &Number) -> bool {
    number.as_f64().is_some_and(|number| number.fract() != 0.0)
}

/// Goes one step down the pointer, and back up again.
fn within(pointer: &mut String, step: &str, visit: impl FnOnce(&mut String)) {
    let length = pointer.len();
    pointer.push('/');
    for character in step.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
    visit(pointer);
    pointer.truncate(length);
}

fn found_kind(value: &Value) -> String {
    const SHOWN_CHARS_MAX: usize = 40;
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => {
            let mut shown = String::from("'");
            shown.extend(text.chars().take(SHOWN_CHARS_MAX));
            let _ = write!(shown, "{}'", if text.chars().nth(SHOWN_CHARS_MAX).is_some() { "…" } else { "" });
            shown
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn object_schema(members: &[Member]) -> Value {
    let mut properties = Map::new();
    for member in members {
        let mut schema = match member.presence {
            Presence::Required => member.shape.to_schema(),
            Presence::Optional => member.shape.to_nullable_schema(),
        };
        schema["description"] = json!(member.about);
        properties.insert(member.name.to_owned(), schema);
    }
    let required: Vec<&str> = members
        .iter()
        .filter(|member| member.presence == Presence::Required)
        .map(|member| member.name)
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

#[cfg(test)]
mod tests {
    use super::super::problem::Place;
    use super::*;

    const PAIR: Shape = Shape::Object(&[
        need("a/b", Shape::Integer, "."),
        may("list", Shape::List(&Shape::Choice(&["x", "y"])), "."),
    ]);

    fn mistakes(text: &str) -> Vec<(String, String)> {
        let value = serde_json::from_str(text).expect("JSON");
        let pointer = |wrong: Wrong| match wrong.place {
            Place::Pointer(pointer) => (pointer, wrong.code.into_owned()),
            other @ (Place::Parameter(_) | Place::UnknownParameter(_)) => panic!("{other:?}"),
        };
        PAIR.examine(&value).into_iter().map(pointer).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(pointer, code)| ((*pointer).to_owned(), (*code).to_owned())).collect()
    }

    #[test]
    fn every_mistake_is_found_and_has_its_pointer() {
        let found = mistakes(r#"{"list": ["x", 3, "z"], "m~n": 1}"#);
        let expected = pairs(&[
            ("/a~1b", "missing"),
            ("/list/1", "wrong_type"),
            ("/list/2", "unknown_value"),
            ("/m~0n", "unknown_member"),
        ]);
        assert_eq!(found, expected);
    }

    #[test]
    fn what_has_the_form_is_left_alone() {
        assert_eq!(mistakes(r#"{"a/b": -9223372036854775808, "list": null}"#), pairs(&[]));
        assert_eq!(mistakes("[]"), pairs(&[("", "wrong_type")]));
        assert_eq!(mistakes(r#"{"a/b": 9223372036854775808}"#), pairs(&[("/a~1b", "wrong_type")]));
        assert_eq!(mistakes(r#"{"a/b": 1.5}"#), pairs(&[("/a~1b", "wrong_type")]));
        assert_eq!(mistakes(r#"{"a/b": 1.0}"#), pairs(&[]));
        assert_eq!(mistakes(r#"{"a/b": 1e300}"#), pairs(&[("/a~1b", "wrong_type")]));
    }
}
