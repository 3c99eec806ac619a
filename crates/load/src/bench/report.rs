//! What a measurement says: for people, and as JSON for programs.

use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::usage::Memory;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Cores of the machine; every process shares them.
    pub(crate) cores: usize,
    pub(crate) orders: u64,
    pub(crate) lines: usize,
    pub(crate) products: u32,
    pub(crate) preload: u64,
    pub(crate) connections: usize,
    pub(crate) workers: usize,
    pub(crate) carrier: &'static str,
    /// Orders per second offered, if fixed.
    pub(crate) rate: Option<u64>,
    /// Orders per second accepted, from the first request to the last answer.
    pub(crate) accepted_per_s: f64,
    /// Orders per second delivered, from the first request to the last delivery.
    pub(crate) delivered_per_s: f64,
    pub(crate) overloaded: u64,
    /// Milliseconds to the answer of `POST /orders`.
    pub(crate) accept_ms: Percentiles,
    pub(crate) delivered_ms: Percentiles,
    /// CPU milliseconds per order, by process.
    pub(crate) cpu_ms_per_order: Vec<(String, f64)>,
    pub(crate) memory: Vec<Memory>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Percentiles {
    /// Of microseconds, in milliseconds.
    pub(crate) fn of(microseconds: &Histogram<u64>) -> Self {
        let at = |quantile: f64| microseconds.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: microseconds.max() as f64 / 1e3,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offered =
            self.rate.map_or_else(|| "closed loop".to_owned(), |rate| format!("{rate} orders/s offered"));
        writeln!(
            f,
            "{} orders of {} lines over {} products, {} stored before; {offered} on {} connections; {} workers, messages carried by {}; {} cores for all processes",
            self.orders,
            self.lines,
            self.products,
            self.preload,
            self.connections,
            self.workers,
            self.carrier,
            self.cores
        )?;
        writeln!(f, "accepted   {:>9.0} orders/s", self.accepted_per_s)?;
        writeln!(f, "delivered  {:>9.0} orders/s end to end", self.delivered_per_s)?;
        writeln!(
            f,
            "POST /orders answered in    {} ({} told to come again)",
            self.accept_ms, self.overloaded
        )?;
        writeln!(f, "accepted to delivered in    {}", self.delivered_ms)?;
        for (process, ms) in &self.cpu_ms_per_order {
            writeln!(f, "CPU of {process:<9} {ms:>8.3} ms per order")?;
        }
        for memory in &self.memory {
            writeln!(
                f,
                "memory of {:<9} {:>6.0} MiB at first, {:.0} at most, {:.0} at the end",
                memory.process, memory.first_mib, memory.most_mib, memory.last_mib
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {:.1} ms, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, most {:.1}",
            self.p50, self.p90, self.p99, self.p999, self.max
        )
    }
}
