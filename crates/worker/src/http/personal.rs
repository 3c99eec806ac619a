//! Personal data in answers: a caller whose key lacks the scope for it gets a placeholder in its place, whatever route the
//! answer comes from. Handlers need not think of it.

use application::ports::Scope;
use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::Value;

use super::problem::{Code, Problem};
use crate::security::{HIDDEN, Identity};

/// Members of JSON that tell who somebody is, or with what they pay.
const PERSONAL: [&str; 10] = [
    "customer_id",
    "customerId",
    "payment_token",
    "paymentToken",
    "contact",
    "email",
    "shipping_address",
    "billing_address",
    "order_note",
    "metadata",
];

/// Where a message that is no JSON stands in an answer, as text.
const RAW: &str = "body";

/// Bytes of an answer at most; a page of a listing has far fewer.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Whether this caller may see personal data. On a service without keys everybody may.
pub(super) fn may_see(identity: Option<&Identity>) -> bool {
    identity.is_none_or(|identity| identity.scopes.allow(Scope::PersonalRead))
}

/// Puts the placeholder where personal data stands.
pub(super) fn hide(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(members) => {
            for (name, value) in members {
                let is_personal = PERSONAL.contains(&name.as_str()) || name == RAW && value.is_string();
                if is_personal {
                    hide_texts(value);
                } else {
                    hide(value);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Puts the placeholder in place of every text, so that a value keeps its form.
fn hide_texts(value: &mut Value) {
    match value {
        Value::String(text) => HIDDEN.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(hide_texts),
        Value::Object(members) => {
            // Taxes depend on the country, and it tells of nobody who they are.
            let hidden = members.iter_mut().filter(|(name, _)| *name != "country");
            hidden.for_each(|(_, value)| hide_texts(value));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The same answer without personal data. What is no JSON holds none.
pub(super) async fn hidden(response: Response) -> Response {
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !is_json {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let value = match to_bytes(body, ANSWER_BYTES_MAX).await {
        Ok(bytes) if bytes.is_empty() => return Response::from_parts(parts, Body::empty()),
        Ok(bytes) => serde_json::from_slice::<Value>(&bytes).ok(),
        Err(_) => None,
    };
    let Some(mut value) = value else {
        return Problem::new(Code::Internal, "this answer could not be cleared of personal data")
            .into_response();
    };
    hide(&mut value);
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(value.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use application::messages::Amount;
    use application::order_details::{Address, Contact, MoneyLineView, OrderDetails};

    use super::*;

    #[test]
    fn personal_data_is_hidden_at_any_depth_and_what_is_not_there_stays_so() {
        let mut value = serde_json::json!({
            "items": [{"customer_id": "ann@example.org", "lines": [{"sku": "TEA"}]}],
            "body": {"message": {"customerId": "ann", "paymentToken": null, "payment_token": "tok"}},
            "more": {"body": "ann, in a form of her own"},
            "notification": {"email": "ann@example.org"},
            "contact": {"name": "Ann", "phone": null}, "shipping_address": {"lines": ["1 Road"], "country": "IE"},
        });
        hide(&mut value);
        let wanted = serde_json::json!({
            "items": [{"customer_id": "(hidden)", "lines": [{"sku": "TEA"}]}],
            "body": {"message": {"customerId": "(hidden)", "paymentToken": null, "payment_token": "(hidden)"}},
            "more": {"body": "(hidden)"},
            "notification": {"email": "(hidden)"},
            "contact": {"name": "(hidden)", "phone": null},
            "shipping_address": {"lines": ["(hidden)"], "country": "IE"},
        });
        assert_eq!(value, wanted);
    }

    /// Every member is set, so that a new one does not compile until it is thought of here.
    #[test]
    fn what_is_erased_of_an_order_is_what_is_hidden_of_it() {
        let person = || Some("PERSON".to_owned());
        let address = || Address {
            name: person(),
            company: person(),
            lines: vec!["PERSON".to_owned()],
            city: person(),
            region: person(),
            postal_code: person(),
            country: "IE".to_owned(),
        };
        let full = OrderDetails {
            contact: Some(Contact { name: person(), email: person(), phone: person() }),
            shipping_address: Some(address()),
            billing_address: Some(address()),
            money_lines: vec![MoneyLineView {
                kind: "tax".to_owned(),
                label: Some("KEPT".to_owned()),
                amount: Amount { minor: 1, currency: "EUR".to_owned() },
            }],
            tags: vec!["KEPT".to_owned()],
            order_note: person(),
            metadata: BTreeMap::from([("name".to_owned(), "PERSON".to_owned())]),
        };
        let mut hidden = serde_json::to_value(&full).expect("texts and numbers can be written");
        hide(&mut hidden);
        for left in [hidden.to_string(), full.erased().to_stored()] {
            assert!(!left.contains("PERSON"), "{left}");
            assert_eq!((left.matches("KEPT").count(), left.matches("IE").count()), (2, 2), "{left}");
        }
    }
}
