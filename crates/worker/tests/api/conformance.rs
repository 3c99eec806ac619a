//! Holds an answer against the document: the status is one that the route may give, the body has the form that is promised.

use std::sync::LazyLock;

use serde_json::Value;

pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(orderwright::http::document);

/// What is wrong with an answer, in words.
pub(crate) fn complaint(method: &str, path: &str, status: u16, body: &Value) -> Option<String> {
    let operation = operation(method, path)?;
    let Some(response) = operation["responses"].get(status.to_string()) else {
        return Some(format!("the document knows no {status} of this route"));
    };
    if let Some(codes) = response["x-problem-codes"].as_array()
        && !codes.contains(&body["code"])
    {
        return Some(format!("the document knows no problem {} of this route", body["code"]));
    }
    let content = response["content"].as_object()?.values().next()?;
    mismatch(&content["schema"], body, "")
}

fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object()?;
    let exact = paths.get(path).map(|item| (path.len(), item));
    let fitting = paths
        .iter()
        .filter(|(template, _)| fits(template, path))
        .map(|(template, item)| (template.len(), item));
    let (_, item) = exact.into_iter().chain(fitting).next()?;
    item.get(method.to_ascii_lowercase())
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found))
                if wanted == found || (wanted.starts_with('{') && !found.is_empty()) => {}
            _ => return false,
        }
    }
}

fn mismatch(schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().expect("a reference has a name");
        return mismatch(&DOCUMENT["components"]["schemas"][name], value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let mismatches: Vec<String> =
            choices.iter().filter_map(|choice| mismatch(choice, value, at)).collect();
        return (mismatches.len() + 1 != choices.len())
            .then(|| format!("{at}: not one of them: {mismatches:?}"));
    }
    if !is_of_type(&schema["type"], value) {
        return Some(format!("{at}: {value} is no {}", schema["type"]));
    }
    if let Some(words) = schema["enum"].as_array()
        && !value.is_null()
        && !words.contains(value)
    {
        return Some(format!("{at}: {value} is not one of {words:?}"));
    }
    let parts = value.as_object().and_then(|object| members(schema, object, at));
    parts.or_else(|| {
        let items = value.as_array()?;
        items
            .iter()
            .enumerate()
            .find_map(|(index, item)| mismatch(&schema["items"], item, &format!("{at}/{index}")))
    })
}

fn members(schema: &Value, object: &serde_json::Map<String, Value>, at: &str) -> Option<String> {
    let required = schema["required"].as_array().into_iter().flatten();
    if let Some(missing) = required.filter_map(Value::as_str).find(|name| !object.contains_key(*name)) {
        return Some(format!("{at}: '{missing}' is missing"));
    }
    object.iter().find_map(|(name, value)| {
        let at = format!("{at}/{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) => mismatch(schema, value, &at),
            (None, Value::Bool(false)) => Some(format!("{at} is not in the document")),
            (None, rest) => mismatch(rest, value, &at),
        }
    })
}

fn is_of_type(kind: &Value, value: &Value) -> bool {
    match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| is_of_type(kind, value)),
        Value::String(kind) => match kind.as_str() {
            "null" => value.is_null(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            "array" => value.is_array(),
            other => panic!("unknown type {other}"),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    }
}
