//! Settings from the environment: `ORDERWRIGHT__SECTION__KEY`, for every key that there is. The text is read as what the
//! key wants; what cannot be read so is left as text, for the check of all layers to refuse.

use toml::Value;

use super::layer::{Layer, Rank};
use super::schema::{Kind, Schema};

/// How the names of such variables begin.
pub(super) const PREFIX: &str = "ORDERWRIGHT__";

/// The variables of this process that are settings.
#[must_use]
pub(crate) fn of_this_process() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
            Some((name, value.to_string_lossy().into_owned()))
        })
        .collect()
}

/// What the variables say.
pub(super) fn read(variables: &[(String, String)], schema: &Schema) -> Layer {
    let mut layer = Layer::default();
    for (name, text) in variables {
        let Some(key) = name.strip_prefix(PREFIX) else { continue };
        let path = key.to_ascii_lowercase().replace("__", ".");
        let value = of_text(text, &path, schema);
        layer.say(path, value, name.clone(), Rank::Environment);
    }
    layer
}

/// What a text says, wherever it was written without the marks of a file: a variable, a flag, a file that holds a secret.
pub(super) fn of_text(text: &str, path: &str, schema: &Schema) -> Value {
    schema.kind(path).map_or_else(|| Value::String(text.to_owned()), |kind| value(text, kind))
}

fn value(text: &str, kind: Kind) -> Value {
    let as_text = || Value::String(text.to_owned());
    match kind {
        Kind::Integer => text.trim().parse().map_or_else(|_| as_text(), Value::Integer),
        Kind::Number => text.trim().parse().map_or_else(|_| as_text(), Value::Float),
        Kind::Boolean => text.trim().parse().map_or_else(|_| as_text(), Value::Boolean),
        Kind::List => list(text),
        Kind::Section => toml(text).unwrap_or_else(as_text),
        Kind::Text => as_text(),
    }
}

/// A list as in a file, or simply with commas.
fn list(text: &str) -> Value {
    if text.trim_start().starts_with('[') {
        return toml(text).unwrap_or_else(|| Value::String(text.to_owned()));
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
}

fn toml(text: &str) -> Option<Value> {
    toml::from_str::<toml::Table>(&format!("value = {text}")).ok()?.remove("value")
}
