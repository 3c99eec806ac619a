//! What a measurement says: for people, and as JSON for programs.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Plan;
use super::load::Outcome;
use super::usage::{Memory, Usage};

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Cores of the machine; every process shares them.
    pub cores: usize,
    /// Orders sent.
    pub orders: u64,
    /// Lines of an order.
    pub lines: usize,
    /// Products ordered.
    pub products: u32,
    /// Orders stored before.
    pub preload: u64,
    /// Connections of the load.
    pub connections: usize,
    /// Processes that share the work.
    pub workers: usize,
    /// Where the messages go.
    pub carrier: &'static str,
    /// Orders per second offered, if fixed.
    pub rate: Option<u64>,
    /// Orders per second accepted, from the first request to the last answer.
    pub accepted_per_s: f64,
    /// Orders per second delivered, from the first request to the last delivery.
    pub delivered_per_s: f64,
    /// Requests that were told to come again.
    pub overloaded: u64,
    /// Milliseconds to the answer of `POST /orders`.
    pub accept_ms: Percentiles,
    /// Milliseconds from accepted to delivered.
    pub delivered_ms: Percentiles,
    /// CPU milliseconds per order, by process.
    pub cpu_ms_per_order: Vec<(&'static str, f64)>,
    memory: Vec<Memory>,
}

/// A distribution.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Percentiles {
    /// Half are quicker.
    pub p50: f64,
    /// Nine of ten are quicker.
    pub p90: f64,
    /// 99 of 100 are quicker.
    pub p99: f64,
    /// 999 of 1,000 are quicker.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

impl Percentiles {
    /// Of microseconds, in milliseconds.
    pub(super) fn of(microseconds: &Histogram<u64>) -> Self {
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

impl Report {
    pub(super) fn new(
        plan: &Plan,
        outcome: &Outcome,
        accepted_in: Duration,
        delivered_in: Duration,
        latencies: &Histogram<u64>,
        used: Usage,
        memory: Vec<Memory>,
    ) -> Self {
        let accepted = outcome.accepted as f64;
        Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            orders: plan.orders,
            lines: plan.lines,
            products: plan.products,
            preload: plan.preload,
            connections: plan.connections,
            workers: plan.workers,
            carrier: if plan.rabbitmq.addresses.is_empty() { "the store" } else { "RabbitMQ" },
            rate: plan.rate,
            accepted_per_s: accepted / accepted_in.as_secs_f64(),
            delivered_per_s: accepted / delivered_in.as_secs_f64(),
            overloaded: outcome.overloaded,
            accept_ms: Percentiles::of(&outcome.latencies),
            delivered_ms: Percentiles::of(latencies),
            cpu_ms_per_order: used
                .0
                .into_iter()
                .map(|(name, seconds)| (name, seconds * 1e3 / accepted))
                .collect(),
            memory,
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
