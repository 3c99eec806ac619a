//! Field names on either side: snake_case here, camelCase on the wire. Everything else of a JSON text is left as it is, byte
//! for byte, so numbers keep their digits, and what is no JSON stays none. Checks nothing but names.

use super::WireError;

/// Our JSON as the wire has it.
///
/// # Errors
/// [`WireError::FieldName`] for a name that would not come back as it was.
pub(super) fn to_wire(json: &str) -> Result<String, WireError> {
    rename(json, |name, out| {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(WireError::FieldName { field: name.to_owned() });
        }
        camel(name, out);
        Ok(())
    })
}

/// A name of ours as the wire has it.
pub(super) fn name_on_wire(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    camel(name, &mut out);
    out
}

/// JSON from the wire as ours; camelCase, PascalCase and snake_case are all understood.
pub(super) fn from_wire(json: &str) -> String {
    let renamed: Result<String, std::convert::Infallible> = rename(json, |name, out| {
        snake(name, out);
        Ok(())
    });
    match renamed {
        Ok(json) => json,
        Err(never) => match never {},
    }
}

/// `user_id` becomes `userId`. An underscore at the beginning, or before anything but a letter, stays.
fn camel(name: &str, out: &mut String) {
    let mut rest = name.chars().peekable();
    let mut is_first = true;
    while let Some(letter) = rest.next() {
        match rest.peek() {
            Some(next) if letter == '_' && !is_first && next.is_ascii_lowercase() => {
                out.push(next.to_ascii_uppercase());
                rest.next();
            }
            _ => out.push(letter),
        }
        is_first = false;
    }
}

/// `userId` and `UserId` become `user_id`: each capital begins a word.
fn snake(name: &str, out: &mut String) {
    for (at, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
}

/// Copies a JSON text, giving each name to `write`. A name with an escape in it is copied as it is.
fn rename<E>(json: &str, mut write: impl FnMut(&str, &mut String) -> Result<(), E>) -> Result<String, E> {
    let mut out = String::with_capacity(json.len() + json.len() / 8);
    let mut rest = json;
    while let Some(quote) = rest.find('"') {
        out.push_str(&rest[..=quote]);
        rest = &rest[quote + 1..];
        let end = end_of_string(rest);
        let (text, after) = rest.split_at(end);
        let is_name = after.get(1..).is_some_and(|after| after.trim_start().starts_with(':'));
        if is_name && !text.contains('\\') {
            write(text, &mut out)?;
        } else {
            out.push_str(text);
        }
        out.push_str(after.get(..1).unwrap_or_default());
        rest = after.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

/// Where the closing quote is.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !is_escaped => return at,
            _ => is_escaped = byte == b'\\' && !is_escaped,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        let name = prop_oneof!["[a-z_][a-z0-9_]{0,8}", "[a-z\"\\\\:é ]{0,5}"];
        leaf.prop_recursive(3, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(name.clone(), inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_goes_over_the_wire_comes_back_byte_for_byte(value in value(), is_pretty: bool) {
            let ours = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let ours = ours.unwrap();
            let wire = to_wire(&ours).unwrap();
            prop_assert!(serde_json::from_str::<Value>(&wire).is_ok(), "{}", wire);
            prop_assert_eq!(from_wire(&wire), ours);
        }
    }

    #[test]
    fn names_change_and_values_do_not() {
        let ours =
            json!({ "user_id": "a_b: \"c_d\"", "lines": [{ "product_id": 1 }], "x_1": null }).to_string();
        let wire = json!({ "userId": "a_b: \"c_d\"", "lines": [{ "productId": 1 }], "x_1": null });
        assert_eq!(serde_json::from_str::<Value>(&to_wire(&ours).unwrap()).unwrap(), wire);
        assert_eq!(from_wire(r#"{ "UserId" : 1, "user_id": 2 }"#), r#"{ "user_id" : 1, "user_id": 2 }"#);
    }

    #[test]
    fn a_name_that_would_not_come_back_is_refused() {
        assert!(to_wire(r#"{"userId":1}"#).unwrap_err().to_string().contains("'userId'"));
    }
}
