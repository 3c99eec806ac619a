//! Settings from the environment: `ORDERWRIGHT__SECTION__KEY`, for every key that there is, and short names for a few. The text
//! is read as what the key wants; what cannot be read so is left as text, for the check of all layers to refuse. A key that two
//! variables name is a mistake: nobody could say which of them counts.

use toml::Value;

use super::layer::{Layer, Rank};
use super::schema::{FILE_SUFFIX, Kind, Schema};

/// How the names of such variables begin.
pub(super) const PREFIX: &str = "ORDERWRIGHT__";

/// How the names of those begin that an image or a package sets: whatever anybody else says goes before them.
pub(super) const PACKAGED_PREFIX: &str = "ORDERWRIGHT_DEFAULT__";

/// Short names, and the keys that they stand for.
const SHORT: [(&str, &str); 7] = [
    ("ORDERWRIGHT_PROFILE", "profile"),
    ("ORDERWRIGHT_LISTEN", "listen"),
    ("ORDERWRIGHT_DATABASE", "database"),
    ("ORDERWRIGHT_BROKER", "rabbitmq.addresses"),
    ("ORDERWRIGHT_PAYMENT_URL", "providers.payment_url"),
    ("ORDERWRIGHT_SHIPPING_URL", "providers.shipping_url"),
    ("ORDERWRIGHT_WEBHOOK_SECRET", "providers.webhook_secret"),
];

/// The usual names of keys that are ours as well: they count where nothing else is said.
const USUAL: [(&str, &str); 2] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "telemetry.otlp_protocol"),
];

/// The variables of this process that are settings.
#[must_use]
pub(crate) fn of_this_process() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| is_setting(name))?;
            Some((name, value.to_string_lossy().into_owned()))
        })
        .collect()
}

fn is_setting(name: &str) -> bool {
    let named = |names: &[(&str, &str)]| names.iter().any(|(known, _)| *known == name);
    name.starts_with(PREFIX) || name.starts_with(PACKAGED_PREFIX) || named(&SHORT) || named(&USUAL)
}

/// What an image or a package says.
pub(super) fn packaged(variables: &[(String, String)], schema: &Schema, mistakes: &mut Vec<String>) -> Layer {
    let key = |name: &str| name.strip_prefix(PACKAGED_PREFIX).map(path_of);
    layer(variables, &key, Rank::Packaged, schema, mistakes)
}

/// What whoever started this process says.
pub(super) fn read(variables: &[(String, String)], schema: &Schema, mistakes: &mut Vec<String>) -> Layer {
    let key = |name: &str| {
        let short = SHORT.iter().find(|(known, _)| *known == name).map(|(_, key)| (*key).to_owned());
        short.or_else(|| name.strip_prefix(PREFIX).map(path_of))
    };
    let layer = layer(variables, &key, Rank::Environment, schema, mistakes);
    mistakes.extend(variables.iter().filter_map(|(name, text)| beside_the_usual(name, text, &layer)));
    layer
}

/// The key that a variable of this name sets, be it by a file that holds its value.
#[must_use]
pub(crate) fn key_of(name: &str) -> Option<String> {
    let short = SHORT.iter().find(|(known, _)| *known == name).map(|(_, key)| (*key).to_owned());
    let key = short.or_else(|| name.strip_prefix(PREFIX).map(path_of))?;
    Some(key.strip_suffix(FILE_SUFFIX).map_or_else(|| key.clone(), str::to_owned))
}

fn path_of(key: &str) -> String {
    key.to_ascii_lowercase().replace("__", ".")
}

/// The variables whose names are keys.
fn layer(
    variables: &[(String, String)],
    key: &dyn Fn(&str) -> Option<String>,
    rank: Rank,
    schema: &Schema,
    mistakes: &mut Vec<String>,
) -> Layer {
    let mut layer = Layer::default();
    for (name, text) in variables {
        let Some(path) = key(name) else { continue };
        let value = of_text(text, &path, schema);
        for (path, value) in leaves(path, value) {
            if let Some(earlier) = layer.0.get(&path) {
                mistakes.push(twice(&path, &earlier.place, name));
            }
            layer.say(path, value, name.clone(), rank);
        }
    }
    layer
}

/// A whole section is its keys, so that each of them counts as if it had been named alone.
fn leaves(path: String, value: Value) -> Vec<(String, Value)> {
    if let Value::Table(table) = &value
        && !table.is_empty()
    {
        let keys = table.clone().into_iter();
        return keys.flat_map(|(key, value)| leaves(format!("{path}.{key}"), value)).collect();
    }
    vec![(path, value)]
}

/// A variable of the usual name that says something else than ours.
fn beside_the_usual(name: &str, text: &str, ours: &Layer) -> Option<String> {
    let (_, key) = USUAL.iter().find(|(known, _)| *known == name)?;
    let said = ours.0.get(*key)?;
    let differs = |ours: &str| ours.trim_end_matches('/') != text.trim_end_matches('/');
    let contradicts = said.value.as_str().is_some_and(|ours| !ours.is_empty() && differs(ours));
    (contradicts && !text.is_empty()).then(|| twice(key, &said.place, name))
}

/// The mistake of naming one key in two ways.
pub(super) fn twice(key: &str, one: &str, other: &str) -> String {
    format!("{key} is named twice, by {one} and by {other}; keep one of them")
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
