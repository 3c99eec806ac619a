//! The document: it names every route and every problem, and the page that shows it needs nothing from elsewhere.

use std::collections::BTreeSet;

use axum::body::Body;
use http::Method;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::conformance::DOCUMENT;
use crate::harness::{Service, request};

/// What the service owes, by requirement; a route may be added, none may go missing.
const OWED: &[(&str, &str)] = &[
    ("post", "/orders"),
    ("get", "/orders"),
    ("get", "/orders/{order_id}"),
    ("patch", "/orders/{order_id}"),
    ("get", "/orders/{order_id}/history"),
    ("get", "/orders/{order_id}/saga"),
    ("post", "/orders/{order_id}/cancel"),
    ("post", "/orders/{order_id}/erase-contact"),
    ("post", "/orders/{order_id}/holds"),
    ("post", "/orders/{order_id}/holds/{hold_id}/release"),
    ("get", "/products"),
    ("put", "/products"),
    ("get", "/inventory"),
    ("get", "/inventory/{sku}"),
    ("get", "/inventory/{sku}/movements"),
    ("post", "/inventory/{sku}/receive"),
    ("post", "/inventory/{sku}/adjust"),
    ("post", "/inventory/{sku}/count"),
    ("get", "/inventory/{sku}/endangered"),
    ("get", "/inventory/{sku}/reservations"),
    ("patch", "/products/{sku}"),
    ("get", "/sagas"),
    ("post", "/sagas/{order_id}/retry"),
    ("post", "/sagas/{order_id}/skip"),
    ("post", "/sagas/{order_id}/force"),
    ("get", "/dead-letters"),
    ("get", "/dead-letters/groups"),
    ("post", "/dead-letters/redrive"),
    ("post", "/dead-letters/discard"),
    ("post", "/imports"),
    ("post", "/webhooks/payments"),
    ("post", "/webhooks/shipping"),
    ("get", "/provider-events/received"),
    ("get", "/provider-events/unmatched"),
    ("get", "/workers"),
    ("get", "/error-queues"),
    ("get", "/error-queues/{name}/messages"),
    ("post", "/error-queues/{name}/put-back"),
    ("post", "/error-queues/{name}/discard"),
    ("get", "/queues"),
    ("post", "/queues/{name}/pause"),
    ("post", "/queues/{name}/resume"),
    ("get", "/events"),
    ("get", "/webhook-endpoints"),
    ("post", "/webhook-endpoints"),
    ("get", "/webhook-endpoints/{endpoint_id}"),
    ("patch", "/webhook-endpoints/{endpoint_id}"),
    ("post", "/webhook-endpoints/{endpoint_id}/rotate-secret"),
    ("post", "/webhook-endpoints/{endpoint_id}/remove"),
    ("get", "/webhook-endpoints/{endpoint_id}/deliveries"),
    ("post", "/webhook-endpoints/{endpoint_id}/redeliver"),
    ("get", "/audit"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/health"),
    ("get", "/metrics"),
    ("get", "/openapi.json"),
    ("get", "/overview"),
    ("get", "/check"),
];

/// The id of nothing.
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

#[tokio::test]
async fn every_route_that_is_owed_is_in_the_document_and_is_served() {
    let service = Service::start().await;
    for (method, path) in OWED {
        assert!(DOCUMENT["paths"][path][method].is_object(), "{method} {path} is not in the document");
        let called =
            path.replace("{order_id}", NO_ID).replace("{endpoint_id}", NO_ID).replace("{sku}", "CHAI");
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
        let answer = service.send(request(method, &called, &[], Body::empty())).await;
        let code = serde_json::from_slice::<Value>(&answer.body)
            .map(|body| body["code"].clone())
            .unwrap_or_default();
        assert!(code != "route_not_found" && code != "method_not_allowed", "{path}: {code}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
    let mut names = BTreeSet::new();
    for (path, item) in DOCUMENT["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let name = operation["operationId"].as_str().expect("a name");
            assert!(names.insert(name), "{name} stands for two operations");
            assert!(operation["summary"].as_str().is_some_and(|about| !about.is_empty()), "{method} {path}");
            assert!(operation["responses"].as_object().is_some_and(|responses| !responses.is_empty()));
            for part in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                let parameters = operation["parameters"].as_array().expect("parameters");
                assert!(
                    parameters.iter().any(|parameter| parameter["name"] == part),
                    "{method} {path}: {part}"
                );
            }
        }
    }
}

#[test]
fn every_operation_stands_under_one_tag_that_is_explained_and_says_more_than_its_summary() {
    let tags: BTreeSet<&str> = DOCUMENT["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .inspect(|tag| assert!(tag["description"].as_str().is_some_and(|about| !about.is_empty()), "{tag}"))
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    let mut used = BTreeSet::new();
    for (path, item) in DOCUMENT["paths"].as_object().expect("paths") {
        for operation in item.as_object().expect("operations").values() {
            let [tag] = operation["tags"].as_array().expect("tags").as_slice() else { panic!("{path}") };
            let tag = tag.as_str().expect("a text");
            assert!(tags.contains(tag), "{path}: no tag '{tag}' in crates/worker/src/http/openapi.rs");
            used.insert(tag);
            let [summary, about] =
                ["summary", "description"].map(|name| operation[name].as_str().expect("a text"));
            assert!(about.starts_with(summary) && summary.len() < 130, "{path}: {summary}");
        }
    }
    assert_eq!(used, tags);
}

/// The places of objects without a name inside a schema: a client made from the document would have to invent one.
fn nameless(schema: &Value, at: &str, found: &mut Vec<String>) {
    if !schema.is_object() {
        return;
    }
    let inner = |inner: &Value, at: &str, found: &mut Vec<String>| {
        if inner["properties"].is_object() {
            found.push(at.to_owned());
        }
        nameless(inner, at, found);
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        inner(property, &format!("{at}/{name}"), found);
    }
    for name in ["items", "additionalProperties"] {
        inner(&schema[name], &format!("{at}/{name}"), found);
    }
    for choice in ["oneOf", "anyOf", "allOf"].iter().filter_map(|name| schema[name].as_array()).flatten() {
        inner(choice, &format!("{at}/one"), found);
    }
}

#[test]
fn no_schema_holds_an_object_without_a_name() {
    let mut found = Vec::new();
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().expect("schemas") {
        nameless(schema, name, &mut found);
    }
    for (path, item) in DOCUMENT["paths"].as_object().expect("paths") {
        for operation in item.as_object().expect("operations").values() {
            let bodies = operation["responses"].as_object().expect("responses").values();
            for (kind, content) in bodies
                .chain([&operation["requestBody"]])
                .filter_map(|body| body["content"].as_object())
                .flatten()
            {
                nameless(
                    &serde_json::json!({"items": content["schema"]}),
                    &format!("{path} {kind}"),
                    &mut found,
                );
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
    let mut wrong = Vec::new();
    let list = serde_json::json!({"properties": {"lines": {"items": {"properties": {}}}}});
    nameless(&list, "Order", &mut wrong);
    assert_eq!(wrong, ["Order/lines/items"]);
    for name in [
        "Money",
        "Order",
        "OrderLine",
        "Payment",
        "Parcel",
        "OrderRequest",
        "OrderLineRequest",
        "ImportRequest",
    ] {
        assert!(DOCUMENT["components"]["schemas"][name]["properties"].is_object(), "{name}");
    }
    let price = &DOCUMENT["components"]["schemas"]["OrderLine"]["properties"]["unit_price"]["$ref"];
    assert_eq!(price, "#/components/schemas/Money");
}

#[tokio::test]
async fn the_document_names_the_path_that_the_service_is_served_below() {
    let service = Service::start().await;
    assert_eq!(DOCUMENT["servers"][0]["url"], "/");
    let router = orderwright::http::below("/shop", service.router.clone()).expect("it is free");
    for path in ["/openapi.json", "/shop/openapi.json"] {
        let asked = request(Method::GET, path, &[], Body::empty());
        let answer = router.clone().oneshot(asked).await.expect("an answer");
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        let document: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(document["servers"][0]["url"], "/shop", "{path}");
    }
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    references(&DOCUMENT, &mut found);
    assert!(found.len() > 40);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(DOCUMENT.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn every_problem_is_in_the_document_and_every_route_lists_its_own() {
    let service = Service::start().await;
    let all = service.get("/problems").await.expect(200);
    let codes: BTreeSet<&str> =
        all["items"].as_array().expect("items").iter().filter_map(|item| item["code"].as_str()).collect();
    let named: BTreeSet<&str> = DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
        .as_array()
        .expect("codes")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(codes, named);
    let mut listed = BTreeSet::new();
    for item in DOCUMENT["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            for response in operation["responses"].as_object().expect("responses").values() {
                listed.extend(
                    response["x-problem-codes"].as_array().into_iter().flatten().filter_map(Value::as_str),
                );
            }
        }
    }
    let anywhere: BTreeSet<&str> = ["route_not_found", "method_not_allowed"].into();
    let unlisted: BTreeSet<&str> = codes.difference(&listed).copied().collect();
    assert_eq!(unlisted, anywhere, "only those that belong to no route");
}

#[tokio::test]
async fn the_document_and_its_page_are_served_from_here() {
    let service = Service::start().await;
    assert_eq!(service.get("/openapi.json").await.expect(200), *DOCUMENT);
    let page = service.get("/docs/").await;
    assert_eq!(page.status.as_u16(), 200);
    let text = String::from_utf8(page.body.to_vec()).expect("a page");
    assert!(text.contains("swagger-ui") && !text.contains("https://"), "{text}");
    let settings = service.get("/docs/swagger-initializer.js").await;
    assert!(String::from_utf8_lossy(&settings.body).contains("/openapi.json"));
    assert_eq!(service.get("/docs/swagger-ui-bundle.js").await.status.as_u16(), 200);
}

/// Words that no field or function of a client may be called without a detour.
const RESERVED: &[&str] =
    &["fn", "impl", "match", "move", "mut", "pub", "ref", "self", "struct", "trait", "use", "where"];

fn is_snake(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        && !RESERVED.contains(&name)
}

fn is_camel(name: &str, first: fn(&char) -> bool) -> bool {
    name.chars().next().is_some_and(|sign| first(&sign))
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What makers of clients for Rust stumble over: names that cannot stand in the language or meet once they are spelled its way,
/// and answers of more than one type. No such program runs here: the best known, progenitor, reads OpenAPI 3.0 only.
#[test]
fn names_and_answers_are_ones_that_a_client_in_rust_can_have_types_for() {
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().expect("schemas") {
        assert!(is_camel(name, char::is_ascii_uppercase), "{name}");
        assert!(!["Option", "Vec", "String", "Box", "Result", "Error"].contains(&name.as_str()), "{name}");
        let properties = schema["properties"].as_object().into_iter().flatten();
        for (property, _) in properties.filter(|(property, _)| *property != "type") {
            assert!(is_snake(property), "{name}/{property}");
        }
    }
    for (path, item) in DOCUMENT["paths"].as_object().expect("paths") {
        for operation in item.as_object().expect("operations").values() {
            assert!(
                is_camel(operation["operationId"].as_str().expect("a name"), char::is_ascii_lowercase),
                "{path}"
            );
            let parameters = operation["parameters"].as_array().expect("parameters");
            let spelled: BTreeSet<String> = parameters
                .iter()
                .map(|parameter| {
                    parameter["name"].as_str().expect("a name").to_ascii_lowercase().replace('-', "_")
                })
                .inspect(|name| assert!(is_snake(name), "{path}: {name}"))
                .collect();
            assert_eq!(spelled.len(), parameters.len(), "{path}: two parameters have one name");
            let responses = operation["responses"].as_object().expect("responses");
            let given: BTreeSet<String> = responses
                .iter()
                .filter(|(status, _)| status.starts_with('2'))
                .map(|(_, response)| response["content"].to_string())
                .collect();
            assert_eq!(given.len(), 1, "{path} gives more than one type: {given:?}");
        }
    }
}
