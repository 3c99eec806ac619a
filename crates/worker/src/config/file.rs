//! Reads a configuration file into a layer, every key with its line. Judges no key: that is done for all layers alike.

use std::path::Path;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::layer::{Layer, Rank};

/// The settings of a file on disk.
///
/// # Errors
/// One line: it cannot be read, or is no TOML, with the line at which it stops being that.
pub(super) fn read(path: &Path) -> Result<Layer, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read the configuration file {name}: {error}"))?;
    parse(&name, &text, Rank::File)
}

/// The settings that a text holds.
pub(super) fn parse(name: &str, text: &str, rank: Rank) -> Result<Layer, String> {
    let line =
        |at: usize| 1 + text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        format!("{name}:{}: {}", line(at), error.message().replace('\n', " "))
    })?;
    let mut layer = Layer::default();
    let place = |at: usize| format!("{name}:{}", line(at));
    flatten(table.get_ref(), "", &place, rank, &mut layer);
    Ok(layer)
}

fn flatten(table: &DeTable<'_>, above: &str, place: &dyn Fn(usize) -> String, rank: Rank, layer: &mut Layer) {
    for (key, value) in table {
        let path =
            if above.is_empty() { key.get_ref().to_string() } else { format!("{above}.{}", key.get_ref()) };
        if let DeValue::Table(below) = value.get_ref()
            && !below.is_empty()
        {
            flatten(below, &path, place, rank, layer);
        } else {
            layer.say(path, plain(value.get_ref()), place(key.span().start), rank);
        }
    }
}

/// The value without its spans. A number beyond 64 bits becomes a text, which no number's key accepts.
fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            i64::from_str_radix(&digits, number.radix()).map_or(Value::String(digits), Value::Integer)
        }
        DeValue::Float(number) => number
            .as_str()
            .replace('_', "")
            .parse()
            .map_or_else(|_| Value::String(number.to_string()), Value::Float),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(moment) => Value::Datetime(*moment),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| plain(item.get_ref())).collect()),
        DeValue::Table(table) => Value::Table(
            table.iter().map(|(key, value)| (key.get_ref().to_string(), plain(value.get_ref()))).collect(),
        ),
    }
}
