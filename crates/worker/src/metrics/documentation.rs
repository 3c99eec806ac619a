//! The list of all metrics for the documentation.

use std::fmt::Write;

use super::definition::Origin;
use super::definitions::DEFINITIONS;

/// How the page begins.
const HEAD: &str = "# Metrics

Made from `crates/worker/src/metrics/definitions.rs`, which defines all of them; a test holds this page to it.

Joining several workers: counters and histograms are each worker's own, so add them (`sum`). Gauges of the *store* are read
from what all workers share, so each worker shows the same: take the largest (`max`). Labels never hold an id.

| Prometheus | OpenTelemetry | kind | of | labels | meaning |
|---|---|---|---|---|---|
";

/// The page.
#[must_use]
pub fn documentation() -> String {
    let mut page = HEAD.to_owned();
    for definition in DEFINITIONS {
        let origin = match definition.origin {
            Origin::Worker => "worker",
            Origin::Store => "store",
        };
        let labels = definition.labels.join(", ").replace('.', "_");
        let (name, kind) = (definition.prometheus_name(), definition.kind.as_str());
        let (otel, help) = (definition.name, definition.help);
        writeln!(page, "| `{name}` | `{otel}` | {kind} | {origin} | {labels} | {help} |")
            .expect("a String takes everything");
    }
    page
}
