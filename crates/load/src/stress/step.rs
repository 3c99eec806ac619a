//! One step of an open load: a rate for a while, and what came of it. Counts and percentiles; judges nothing.

use std::time::Duration;

use anyhow::Result;
use application::ports::OrderView;
use bus::{Clock, SystemClock};
use domain::OrderStatus;
use hdrhistogram::Histogram;
use jiff::Timestamp;
use serde::Serialize;

use super::environment::{Environment, TURNS};
use super::series::{Series, Window};
use crate::bench::Percentiles;
use crate::generator::{OpenLoop, StepCounts};

pub(crate) struct Step {
    name: String,
    rate: u64,
    window: Window,
    wall: (Timestamp, Timestamp),
    counts: StepCounts,
    delivered_us: Histogram<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct StepReport {
    pub(crate) name: String,
    /// Orders per second that were meant to be offered.
    pub(crate) rate: u64,
    pub(crate) window: Window,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
    pub(crate) offered: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// Of those, without a word of when.
    pub(crate) refused_without_retry_after: u64,
    pub(crate) failed: u64,
    pub(crate) unanswered: u64,
    /// Requests for which the load had no room.
    pub(crate) unsent: u64,
    /// Orders delivered per second meanwhile, whenever they were accepted.
    pub(crate) delivered_per_s: f64,
    /// Orders that had not come to their end when it was over.
    pub(crate) backlog: u64,
    /// Milliseconds from when a request was due to its answer, of those accepted.
    pub(crate) accept_ms: Percentiles,
    /// Milliseconds from accepted to delivered, of its own orders.
    pub(crate) delivered_ms: Percentiles,
}

impl StepReport {
    pub(crate) const fn sent(&self) -> u64 {
        self.offered.saturating_sub(self.unsent)
    }
}

impl Step {
    /// Offers that many orders per second for that long.
    pub(crate) async fn run(
        environment: &Environment,
        load: &mut OpenLoop,
        name: &str,
        rate: u64,
        time: Duration,
    ) -> Result<Self> {
        eprintln!("{name}: {rate} orders/s for {:.0} s", time.as_secs_f64());
        environment.watch.look().await;
        let (from_s, begun) = (environment.watch.now_s(), SystemClock.now());
        let counts = load.step(rate, time).await?;
        let window = Window { from_s, to_s: environment.watch.now_s() };
        let wall = (begun, SystemClock.now());
        environment.watch.look().await;
        Ok(Self { name: name.to_owned(), rate, window, wall, counts, delivered_us: Histogram::new(3)? })
    }

    pub(crate) async fn several(
        environment: &Environment,
        load: &mut OpenLoop,
        name: &str,
        rate: u64,
        time: Duration,
    ) -> Result<Vec<Self>> {
        let mut looks = Vec::with_capacity(TURNS);
        for turn in 1..=TURNS {
            looks.push(Self::run(environment, load, &format!("{name}, {turn}"), rate, time).await?);
        }
        Ok(looks)
    }

    /// Notes an order, if it is one of this step.
    pub(crate) fn note(&mut self, order: &OrderView) {
        let ours = (self.wall.0..self.wall.1).contains(&order.created_at);
        if ours && order.status == OrderStatus::Delivered.as_str() {
            let took_us = order.updated_at.duration_since(order.created_at).as_micros();
            let took_us = u64::try_from(took_us).unwrap_or(0);
            self.delivered_us.record(took_us).expect("the histogram grows with what it records");
        }
    }

    pub(crate) fn report(&self, series: &Series) -> StepReport {
        let (counted, accept_us) = self.counts.read();
        StepReport {
            name: self.name.clone(),
            rate: self.rate,
            window: self.window,
            seconds: self.window.seconds(),
            offered: counted.offered,
            accepted: counted.accepted,
            refused: counted.refused,
            refused_without_retry_after: counted.refused_without_retry_after,
            failed: counted.failed,
            unanswered: counted.unanswered(),
            unsent: counted.unsent,
            delivered_per_s: series.speed(self.window, |sample| sample.delivered),
            backlog: series.at(self.window.to_s, |sample| sample.open as f64) as u64,
            accept_ms: Percentiles::of(&accept_us),
            delivered_ms: Percentiles::of(&self.delivered_us),
        }
    }
}

/// What came of all steps, once every order has come to its end.
pub(crate) async fn reports(environment: &Environment, mut steps: Vec<Step>) -> Result<Vec<StepReport>> {
    environment.each_order(None, |order| steps.iter_mut().for_each(|step| step.note(order))).await?;
    let series = environment.watch.series();
    Ok(steps.iter().map(|step| step.report(&series)).collect())
}
