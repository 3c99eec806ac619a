//! What there is to say about a metric, and how its name is written for OpenTelemetry and for Prometheus.

/// A metric as it is defined.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Its name in OpenTelemetry; that in Prometheus follows from it.
    pub name: &'static str,
    /// What it is measured in.
    pub unit: Unit,
    /// Whether it counts, shows or sorts into buckets.
    pub kind: Kind,
    /// Where it comes from.
    pub origin: Origin,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

/// What a metric is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Whatever its name says.
    Count,
    /// None: a number that represents a state.
    State,
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows, and begins at nothing with each start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Sorts values into buckets with these upper bounds.
    Histogram(&'static [f64]),
}

/// Whose a metric is, which says how those of several workers are to be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// One worker's own: sum over workers.
    Worker,
    /// Read from the store that all workers share, so each reports the same: take the maximum over workers.
    Store,
}

impl Definition {
    /// Its name in Prometheus: dots become underscores, the unit and `_total` are appended.
    #[must_use]
    pub fn prometheus_name(&self) -> String {
        let unit = match self.unit {
            Unit::Seconds => "_seconds",
            Unit::Bytes => "_bytes",
            Unit::Count | Unit::State => "",
        };
        let total = match self.kind {
            Kind::Counter => "_total",
            Kind::Gauge | Kind::Histogram(_) => "",
        };
        format!("{}{unit}{total}", self.name.replace('.', "_"))
    }

    /// Every series name in Prometheus that belongs to it.
    #[must_use]
    pub fn prometheus_series(&self) -> Vec<String> {
        let name = self.prometheus_name();
        match self.kind {
            Kind::Counter | Kind::Gauge => vec![name],
            Kind::Histogram(_) => ["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}")).into(),
        }
    }

    /// The unit as OpenTelemetry writes it.
    #[must_use]
    pub const fn otel_unit(&self) -> &'static str {
        match self.unit {
            Unit::Seconds => "s",
            Unit::Bytes => "By",
            Unit::Count | Unit::State => "1",
        }
    }

    /// What it means, with how to join that of several workers.
    #[must_use]
    pub fn full_help(&self) -> String {
        match self.origin {
            Origin::Worker => self.help.to_owned(),
            Origin::Store => format!("{} The same from every worker: take the max.", self.help),
        }
    }
}

impl Kind {
    /// Its name in Prometheus.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::definitions::DEFINITIONS;
    use super::*;

    #[test]
    fn names_are_unique_and_clean_in_both_worlds() {
        let all: Vec<String> = DEFINITIONS.iter().flat_map(Definition::prometheus_series).collect();
        let distinct: BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
        let clean = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(all.iter().all(|name| name.chars().all(clean)), "{all:?}");
    }

    #[test]
    fn no_label_can_hold_an_id() {
        for definition in DEFINITIONS {
            assert!(definition.labels.iter().all(|label| !label.ends_with("id")), "{}", definition.name);
        }
    }

    #[test]
    fn buckets_grow() {
        for definition in DEFINITIONS {
            if let Kind::Histogram(bounds) = definition.kind {
                assert!(bounds.is_sorted() && !bounds.is_empty(), "{}", definition.name);
            }
        }
    }
}
