//! Writes all metrics in the text format of Prometheus, version 0.0.4.

use std::fmt::Write;

use super::definition::{Definition, Kind};
use super::registry::{Reading, Registry};

/// The media type of the format.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that has ever been recorded.
#[must_use]
pub fn text(registry: &Registry) -> String {
    let mut text = String::with_capacity(32 * 1024);
    for (definition, readings) in registry.read() {
        if !readings.is_empty() {
            family(&mut text, definition, &readings);
        }
    }
    text
}

fn family(text: &mut String, definition: &Definition, readings: &[Reading]) {
    let name = definition.prometheus_name();
    let (help, kind) = (definition.full_help().replace('\\', "\\\\"), definition.kind.as_str());
    line(text, format_args!("# HELP {name} {help}"));
    line(text, format_args!("# TYPE {name} {kind}"));
    let label_names: Vec<String> = definition.labels.iter().map(|label| label.replace('.', "_")).collect();
    for reading in readings {
        let labels: Vec<String> = label_names
            .iter()
            .zip(&reading.labels)
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        match definition.kind {
            Kind::Counter | Kind::Gauge => {
                line(text, format_args!("{name}{} {}", braced(&labels, None), reading.value));
            }
            Kind::Histogram(bounds) => histogram(text, &name, bounds, &labels, reading),
        }
    }
}

fn histogram(text: &mut String, name: &str, bounds: &[f64], labels: &[String], reading: &Reading) {
    let mut up_to = 0;
    let bounds = bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(&reading.buckets) {
        up_to += count;
        let le = format!("le=\"{bound}\"");
        line(text, format_args!("{name}_bucket{} {up_to}", braced(labels, Some(&le))));
    }
    line(text, format_args!("{name}_sum{} {}", braced(labels, None), reading.value));
    line(text, format_args!("{name}_count{} {up_to}", braced(labels, None)));
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("a String takes everything");
}

fn braced(labels: &[String], last: Option<&str>) -> String {
    let all: Vec<&str> = labels.iter().map(String::as_str).chain(last).collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::Metric;

    #[test]
    fn a_family_is_written_with_help_type_and_summed_buckets() {
        let registry = Registry::default();
        registry.observe(Metric::OrderDuration, &["delivered"], Duration::from_millis(80));
        registry.observe(Metric::OrderDuration, &["delivered"], Duration::from_secs(7_200));
        registry.add(Metric::MessagesSent, &["a \"quoted\" one"], 3);
        let text = text(&registry);
        for line in [
            "# TYPE orderwright_order_duration_seconds histogram",
            "orderwright_order_duration_seconds_bucket{outcome=\"delivered\",le=\"0.05\"} 0",
            "orderwright_order_duration_seconds_bucket{outcome=\"delivered\",le=\"0.1\"} 1",
            "orderwright_order_duration_seconds_bucket{outcome=\"delivered\",le=\"+Inf\"} 2",
            "orderwright_order_duration_seconds_sum{outcome=\"delivered\"} 7200.08",
            "orderwright_order_duration_seconds_count{outcome=\"delivered\"} 2",
            "messaging_client_sent_messages_total{message_type=\"a \\\"quoted\\\" one\"} 3",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is missing in\n{text}");
        }
    }
}
