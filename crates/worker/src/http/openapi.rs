//! The document of the API, made from the list of routes. Says nothing that a route does not. Programs that make clients read
//! it: every object has a name, every operation a tag and a name of its own.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde_json::{Map, Value, json};

use super::Api;
use super::access::access;
use super::parameters::TextInPath;
use super::problem::{Again, Code, Problem};
use super::route::{self, Content, Heading, Operation, Parameter, ParameterPlace, Route};
use super::shape::{Schema, Shape, need, reference};
use crate::security::Access;

/// The path below which the service is served as well, for the handlers that have to name an address.
#[derive(Clone)]
pub(super) struct BasePath(pub(super) Arc<str>);

/// What operations are listed under: the name, what it is for, and how the paths of its operations begin.
const TAGS: &[(&str, &str, &[&str])] = &[
    ("orders", "Accept, find, follow and cancel orders, and pay money back.", &["orders"]),
    ("imports", "Take in many orders at once.", &["imports"]),
    (
        "sagas",
        "Where orders stand on their way, and what a person can do about one that is stuck.",
        &["sagas"],
    ),
    ("products", "The catalogue.", &["products"]),
    ("inventory", "Stock: levels, movements, goods received and counted.", &["inventory"]),
    ("dead-letters", "Messages that could not be handled.", &["dead-letters"]),
    ("queues", "Queues and their consumers: pause them, resume them.", &["queues"]),
    ("error-queues", "Messages that lie in a broker's error queues.", &["error-queues"]),
    ("workers", "Who works on this database.", &["workers"]),
    (
        "provider-events",
        "Events of the payment gateway and the carrier that belong to no order.",
        &["provider-events"],
    ),
    ("events", "Follow what happens to orders.", &["events"]),
    ("webhook-endpoints", "Programs that are sent what happens to orders.", &["webhook-endpoints"]),
    ("audit", "Who did what.", &["audit"]),
    ("webhooks", "Where the payment gateway and the carrier report to.", &["webhooks"]),
    ("health", "How the service is, in words and in numbers.", &["health", "metrics", "overview", "check"]),
    ("documentation", "What the API is.", &["openapi.json", "problems"]),
];

/// The OpenAPI 3.1 document of a service at the root of its host.
///
/// # Panics
/// If two schemas have one name; a test makes the document.
#[must_use]
pub fn document() -> Value {
    document_at("/")
}

/// The document of a service at this path of its host.
fn document_at(server: &str) -> Value {
    let operations: Vec<Operation> = super::routes().into_iter().map(|route| route.operation).collect();
    let mut paths = Map::new();
    for operation in &operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_ascii_lowercase()] = described(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Orderwright",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Takes orders, sets stock aside, takes the money, has the parcel shipped. \
                            Every 'no' is a problem of RFC 9457 with a stable code.",
            "contact": {"name": "Orderwright"},
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": server, "description": "This service; its address is the one that the document came from."}],
        "tags": TAGS.iter().map(|(name, about, _)| json!({"name": name, "description": about})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {"schemas": schemas(&operations), "securitySchemes": {
            BEARER: {
                "type": "http",
                "scheme": "bearer",
                "description": "A key made with `orderwright keys create`; not needed on one's own machine before the first is made.",
            },
            HEADER: {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The same key."},
        }},
    })
}

/// Names of the two ways to show a key.
const BEARER: &str = "bearer";
const HEADER: &str = "header";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/openapi.json", "getDocument", show).about("This document.").giving(200, &ANYTHING),
        Route::get("/problems", "listProblems", list_problems)
            .about("Lists every problem that the API knows.")
            .giving(200, &PROBLEMS),
        Route::get("/problems/{code}", "getProblem", show_problem)
            .about("Tells what a problem is.")
            .with(&[route::path("code", Shape::Text, "Its code.")])
            .giving(200, &PROBLEM_KIND)
            .failing(&[Code::InvalidParameter, Code::ProblemNotFound]),
    ]
}

async fn show(State(_): State<Arc<Api>>, base: Option<Extension<BasePath>>) -> Json<Value> {
    Json(document_at(base.as_ref().map_or("/", |Extension(BasePath(path))| path)))
}

async fn list_problems() -> Json<Value> {
    Json(json!({"items": Code::ALL.iter().map(|code| kind(*code)).collect::<Vec<_>>()}))
}

async fn show_problem(TextInPath(text): TextInPath) -> Result<Json<Value>, Problem> {
    let found = Code::ALL.iter().find(|code| code.as_str() == text);
    let missing = || Problem::new(Code::ProblemNotFound, "GET /problems lists those that there are");
    found.map(|code| Json(kind(*code))).ok_or_else(missing)
}

fn kind(code: Code) -> Value {
    json!({
        "code": code.as_str(),
        "title": code.title(),
        "status": code.status().as_u16(),
        "retryable": code.again() == Again::Later,
    })
}

fn described(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": first_sentence(operation.about),
        "description": operation.about,
        "tags": [tag(operation.path)],
        "parameters": operation.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": responses(operation),
    });
    described["security"] = match access(&operation.method, operation.path) {
        Access::Anybody | Access::Page => json!([]),
        Access::Part(..) => json!([{}, {BEARER: []}, {HEADER: []}]),
        Access::Scope(_) => json!([{BEARER: []}, {HEADER: []}]),
    };
    match access(&operation.method, operation.path) {
        Access::Anybody | Access::Page => {}
        Access::Part(_, scope) | Access::Scope(scope) => described["x-scope"] = json!(scope.as_str()),
    }
    if !operation.takes.is_empty() {
        let content: Map<String, Value> = operation.takes.iter().map(content).collect();
        described["requestBody"] = json!({"required": true, "content": content});
    }
    described
}

/// A text up to its first full stop, semicolon or colon, without it.
fn first_sentence(text: &str) -> &str {
    let ends = [". ", "; ", ": "].into_iter().filter_map(|end| text.find(end));
    text[..ends.min().unwrap_or(text.len())].trim_end_matches('.')
}

/// What an operation at this path is listed under.
fn tag(path: &str) -> &str {
    let first = path.split('/').nth(1).unwrap_or(path);
    let known = TAGS.iter().find(|(_, _, paths)| paths.contains(&first));
    known.map_or(first, |(name, _, _)| name)
}

fn parameter(parameter: &Parameter) -> Value {
    let (place, required) = match parameter.place {
        ParameterPlace::Path => ("path", true),
        ParameterPlace::Query => ("query", false),
        ParameterPlace::Header => ("header", true),
        ParameterPlace::OptionalHeader => ("header", false),
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": required,
        "description": parameter.about,
        "schema": parameter.shape.to_schema(),
    })
}

fn content(content: &Content) -> (String, Value) {
    match content {
        Content::Json(schema) => ("application/json".to_owned(), json!({"schema": reference(schema.name)})),
        Content::Text(media_type) => ((*media_type).to_owned(), json!({"schema": text_of(media_type)})),
    }
}

/// The schema of what is read as it was sent.
fn text_of(media_type: &str) -> Value {
    match media_type {
        // A signature is over the bytes, but to a client it is JSON like any other.
        "application/json" => json!({}),
        text if text.starts_with("text/") || text.ends_with("json") => json!({"type": "string"}),
        _ => json!({"type": "string", "format": "binary"}),
    }
}

fn responses(operation: &Operation) -> Map<String, Value> {
    let mut responses = Map::new();
    for (status, gives) in &operation.gives {
        let done = || json!({"description": "It is done.", "content": {}});
        let (media_type, schema) = content(gives);
        responses.entry(status.to_string()).or_insert_with(done)["content"][media_type] = schema;
    }
    for Heading { status, name, about } in &operation.headings {
        if let Some(response) = responses.get_mut(&status.to_string()) {
            response["headers"][name] = json!({"description": about, "schema": {"type": "string"}});
        }
    }
    for code in operation.problems.iter().chain(at_the_gate(operation)) {
        let status = code.status().as_u16().to_string();
        let problem = json!({"application/problem+json": {"schema": reference("Problem")}});
        let known = responses
            .entry(status)
            .or_insert_with(|| json!({"description": "", "content": problem, "x-problem-codes": []}));
        let told = known["description"].as_str().unwrap_or("").to_owned();
        let pause = if told.is_empty() { "" } else { "; " };
        known["description"] = json!(format!("{told}{pause}`{}`: {}", code.as_str(), code.title()));
        if let Some(codes) = known["x-problem-codes"].as_array_mut() {
            codes.push(json!(code.as_str()));
        }
    }
    responses
}

/// What the gate may answer before the operation is asked.
fn at_the_gate(operation: &Operation) -> &'static [Code] {
    match access(&operation.method, operation.path) {
        Access::Anybody | Access::Page => &[Code::TooManyRequests],
        Access::Part(..) | Access::Scope(_) => &[
            Code::KeyMissing,
            Code::KeyUnknown,
            Code::ScopeMissing,
            Code::CrossSite,
            Code::HostUnknown,
            Code::TooManyRequests,
        ],
    }
}

fn schemas(operations: &[Operation]) -> Map<String, Value> {
    let mut schemas = Map::new();
    let bodies = operations.iter().flat_map(|operation| {
        operation.takes.iter().chain(operation.gives.iter().map(|(_, content)| content))
    });
    for body in bodies {
        match body {
            Content::Json(schema) => schema.name_parts(&mut schemas),
            Content::Text(_) => {}
        }
    }
    schemas.insert("Problem".to_owned(), problem_schema());
    schemas.insert("ProblemError".to_owned(), problem_error_schema());
    schemas
}

fn problem_schema() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    json!({
        "type": "object",
        "description": "A problem as in RFC 9457.",
        "required": ["type", "title", "status", "detail", "instance", "code", "retryable"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string", "description": "The address that it happened at."},
            "code": {"type": "string", "enum": codes},
            "retryable": {"type": "boolean", "description": "Whether the very same request may succeed later."},
            "errors": {"type": "array", "items": reference("ProblemError")},
            "errors_omitted": {"type": "integer", "description": "How many more errors there were."},
            "requested": {"type": "integer", "description": "Units asked for."},
            "available": {"type": "integer", "description": "Units that there are."},
        },
    })
}

fn problem_error_schema() -> Value {
    json!({
        "type": "object",
        "description": "One thing that is wrong with a request, and where.",
        "required": ["code", "detail"],
        "properties": {
            "pointer": {"type": "string", "description": "JSON pointer into the body."},
            "parameter": {"type": "string", "description": "Parameter of the path or the query."},
            "code": {"type": "string"},
            "detail": {"type": "string"},
        },
    })
}

static ANYTHING: Schema = Schema { name: "Document", shape: Shape::Any };
static PROBLEM_KIND: Schema = Schema {
    name: "ProblemKind",
    shape: Shape::Object(&[
        need("code", Shape::Text, "Its code."),
        need("title", Shape::Text, "What it is."),
        need("status", Shape::Integer, "The status that it comes with."),
        need("retryable", Shape::Boolean, "Whether the very same request may succeed later."),
    ]),
};
const KIND: Shape = Shape::Named(&PROBLEM_KIND);
static PROBLEMS: Schema = Schema {
    name: "ProblemKinds",
    shape: Shape::Object(&[need("items", Shape::List(&KIND), "All of them.")]),
};
