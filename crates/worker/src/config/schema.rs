//! The form of the configuration as a JSON schema, made from the types themselves: editors check a file by it, and so do
//! we, because it knows every key, what it takes, and which of them are secret.

use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Config;

/// The schema as it lies beside the default file, for editors.
pub const SCHEMA_FILE: &str = include_str!("schema.json");

/// Stands behind the name of a secret's key: the file that holds the secret.
pub(super) const FILE_SUFFIX: &str = "_file";

/// The JSON schema of a configuration file.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Config>().to_value();
    schema["title"] = json!("Orderwright configuration");
    add_file_keys(&mut schema);
    schema
}

/// Beside each secret, the key that names a file which holds it.
fn add_file_keys(schema: &mut Value) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let secrets: Vec<String> =
        properties.iter().filter(|(_, value)| is_secret(value)).map(|(key, _)| key.clone()).collect();
    for key in secrets {
        let about = format!("File that holds what `{key}` would say, without its last line break.");
        properties.insert(format!("{key}{FILE_SUFFIX}"), json!({"type": "string", "description": about}));
    }
    for property in properties.values_mut() {
        add_file_keys(property);
    }
}

fn is_secret(schema: &Value) -> bool {
    schema["x-secret"] == true
}

/// What kind of value a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    List,
    Section,
}

impl Kind {
    const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Text, "string", "a text in quotes"),
        (Self::Integer, "integer", "a whole number"),
        (Self::Number, "number", "a number"),
        (Self::Boolean, "boolean", "true or false"),
        (Self::List, "array", "a list in brackets"),
        (Self::Section, "object", "a section"),
    ];

    fn of(schema: &Value) -> Self {
        let word = match schema["type"].as_array() {
            Some(words) => words.iter().find(|word| **word != "null").unwrap_or(&Value::Null),
            None => &schema["type"],
        };
        // A choice between words has no type of its own, and is a text.
        Self::ALL.iter().find(|(_, name, _)| *word == *name).map_or(Self::Text, |(kind, _, _)| *kind)
    }

    fn in_words(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _, _)| *kind == self).map_or("a value", |(_, _, words)| *words)
    }

    fn fits(self, value: &toml::Value) -> bool {
        match value {
            toml::Value::String(_) => self == Self::Text,
            toml::Value::Integer(_) => matches!(self, Self::Integer | Self::Number),
            toml::Value::Float(_) => self == Self::Number,
            toml::Value::Boolean(_) => self == Self::Boolean,
            toml::Value::Datetime(_) => false,
            toml::Value::Array(_) => self == Self::List,
            toml::Value::Table(_) => self == Self::Section,
        }
    }
}

/// The schema, to look keys up in.
pub(super) struct Schema(Value);

impl Schema {
    pub(super) fn of_config() -> &'static Self {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| Self(document()))
    }

    fn find(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.0, |schema, step| {
            let named = schema.get("properties").and_then(|properties| properties.get(step));
            named.or_else(|| schema.get("additionalProperties").filter(|any| any.is_object()))
        })
    }

    /// What this key takes; none if there is no such key.
    pub(super) fn kind(&self, path: &str) -> Option<Kind> {
        self.find(path).map(Kind::of)
    }

    /// Every key that is no section, by its path.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        walk(&self.0, "", &mut |path, _| keys.push(path.to_owned()));
        keys
    }

    /// Every key that holds a secret, by its path.
    pub(super) fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        walk(&self.0, "", &mut |path, schema| {
            if is_secret(schema) {
                secrets.push(path.to_owned());
            }
        });
        secrets
    }

    /// What is wrong with a value as that of a key which there is.
    pub(super) fn mismatch(&self, path: &str, value: &toml::Value) -> Option<String> {
        let schema = self.find(path)?;
        let kind = Kind::of(schema);
        let shown = || if is_secret(schema) { String::new() } else { format!(" = {value}") };
        if !kind.fits(value) {
            return Some(format!("{path}{} is not {}", shown(), kind.in_words()));
        }
        let words = choices(schema);
        if let Some(text) = value.as_str().filter(|text| !words.is_empty() && !words.contains(text)) {
            return Some(format!("{path} = '{text}' is none of {}", words.join(", ")));
        }
        let number = value.as_integer()?;
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        #[expect(clippy::cast_precision_loss, reason = "bounds are small or far away")]
        let beyond = bound("minimum").is_some_and(|least| (number as f64) < least)
            || bound("maximum").is_some_and(|most| (number as f64) > most);
        beyond.then(|| format!("{path} = {number} is out of range"))
    }
}

/// The words that a choice is between; none if it is no choice.
fn choices(schema: &Value) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten();
    let described = schema["oneOf"].as_array().into_iter().flatten().map(|one| &one["const"]);
    listed.chain(described).filter_map(Value::as_str).collect()
}

fn walk(schema: &Value, above: &str, visit: &mut dyn FnMut(&str, &Value)) {
    let none = Map::new();
    for (key, below) in schema["properties"].as_object().unwrap_or(&none) {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match Kind::of(below) {
            Kind::Section if below["properties"].is_object() => walk(below, &path, visit),
            Kind::Section | Kind::Text | Kind::Integer | Kind::Number | Kind::Boolean | Kind::List => {
                visit(&path, below);
            }
        }
    }
}
