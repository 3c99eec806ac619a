//! The scope that each route needs: the whole policy on one screen. A route that is missing here is for
//! administrators only, so a new route stays closed until it is opened here.

use application::ports::Scope;
use http::Method;

use crate::security::{Access, Part};

/// Whom this method of this address is for. Takes the address as it was asked for, or as a route has it.
pub(crate) fn access(method: &Method, path: &str) -> Access {
    let reads = *method == Method::GET || *method == Method::HEAD;
    let either = |read, write| Access::Scope(if reads { read } else { write });
    let mut steps = path.split('/').skip(1);
    match (steps.next().unwrap_or(""), steps.next(), steps.next()) {
        ("health", Some("live" | "ready"), None) => Access::Part(Part::Health, Scope::Operate),
        ("metrics", None, None) => Access::Part(Part::Metrics, Scope::Operate),
        ("openapi.json" | "docs" | "problems" | "swagger-ui", _, _) => {
            Access::Part(Part::Docs, Scope::OrdersRead)
        }
        // The page lets people in itself, and asks this table what each of them may see and do.
        ("", None, None) | ("ui", _, _) => Access::Page,
        // Their signature proves the sender.
        ("webhooks", Some("payments" | "shipping"), None) => Access::Anybody,
        ("events", None, None) => Access::Scope(Scope::OrdersRead),
        // Whoever makes one has events sent anywhere.
        ("webhook-endpoints", _, _) => either(Scope::Operate, Scope::Admin),
        ("orders", Some(_), Some("saga")) => either(Scope::OrdersRead, Scope::Operate),
        ("orders", _, _) => either(Scope::OrdersRead, Scope::OrdersWrite),
        ("imports", None, None) => Access::Scope(Scope::OrdersWrite),
        ("products" | "inventory", _, _) => either(Scope::StockRead, Scope::StockWrite),
        (
            "health" | "sagas" | "workers" | "dead-letters" | "provider-events" | "audit" | "overview"
            | "check",
            _,
            _,
        ) => Access::Scope(Scope::Operate),
        // What is discarded there is gone for good, and is for administrators.
        ("error-queues", _, step) if step != Some("discard") => Access::Scope(Scope::Operate),
        // They change how every worker works.
        ("queues", _, _) => either(Scope::Operate, Scope::Admin),
        _ => Access::Scope(Scope::Admin),
    }
}
