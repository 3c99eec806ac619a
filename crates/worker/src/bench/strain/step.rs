//! One step of an open load: a rate for a while, and what came of it. Counts and percentiles; judges nothing.

use std::time::Duration;

use anyhow::Result;
use application::ports::OrderView;
use bus::{Clock, SystemClock};
use domain::OrderStatus;
use hdrhistogram::Histogram;
use jiff::Timestamp;
use serde::Serialize;

use super::flood::{Flood, Met};
use super::scene::{Scene, TURNS};
use super::series::{Series, Window};
use crate::bench::report::Percentiles;
use crate::tell;

/// A step that is over, though some of its orders may still be on their way.
pub(super) struct Step {
    name: String,
    rate: u64,
    window: Window,
    wall: (Timestamp, Timestamp),
    met: Met,
    delivered_us: Histogram<u64>,
}

/// What came of a step.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// What it was.
    pub name: String,
    /// Orders per second that were meant to be offered.
    pub rate: u64,
    /// When it was.
    pub window: Window,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Orders due.
    pub offered: u64,
    /// Orders accepted.
    pub accepted: u64,
    /// Requests that were told to come again.
    pub refused: u64,
    /// Of those, without a word of when.
    pub refused_without_retry_after: u64,
    /// Requests answered otherwise.
    pub failed: u64,
    /// Requests without an answer.
    pub unanswered: u64,
    /// Requests for which the load had no room.
    pub unsent: u64,
    /// Orders delivered per second meanwhile, whenever they were accepted.
    pub delivered_per_s: f64,
    /// Orders that had not come to their end when it was over.
    pub backlog: u64,
    /// Milliseconds from when a request was due to its answer, of those accepted.
    pub accept_ms: Percentiles,
    /// Milliseconds from accepted to delivered, of its own orders.
    pub delivered_ms: Percentiles,
}

impl StepReport {
    /// Requests that left.
    pub(super) const fn sent(&self) -> u64 {
        self.offered.saturating_sub(self.unsent)
    }
}

impl Step {
    /// Offers that many orders per second for that long.
    pub(super) async fn run(
        scene: &Scene,
        flood: &mut Flood,
        name: &str,
        rate: u64,
        time: Duration,
    ) -> Result<Self> {
        tell!("{name}: {rate} orders/s for {:.0} s", time.as_secs_f64());
        scene.watch.look().await;
        let (from_s, begun) = (scene.watch.now_s(), SystemClock.now());
        let met = flood.step(rate, time).await?;
        let window = Window { from_s, to_s: scene.watch.now_s() };
        let wall = (begun, SystemClock.now());
        scene.watch.look().await;
        Ok(Self { name: name.to_owned(), rate, window, wall, met, delivered_us: Histogram::new(3)? })
    }

    /// The same several times.
    pub(super) async fn several(
        scene: &Scene,
        flood: &mut Flood,
        name: &str,
        rate: u64,
        time: Duration,
    ) -> Result<Vec<Self>> {
        let mut looks = Vec::with_capacity(TURNS);
        for turn in 1..=TURNS {
            looks.push(Self::run(scene, flood, &format!("{name}, {turn}"), rate, time).await?);
        }
        Ok(looks)
    }

    /// Notes an order, if it is one of this step.
    pub(super) fn note(&mut self, order: &OrderView) {
        let ours = (self.wall.0..self.wall.1).contains(&order.created_at);
        if ours && order.status == OrderStatus::Delivered.as_str() {
            let took_us = order.updated_at.duration_since(order.created_at).as_micros();
            let took_us = u64::try_from(took_us).unwrap_or(0);
            self.delivered_us.record(took_us).expect("the histogram grows with what it records");
        }
    }

    /// What came of it.
    pub(super) fn report(&self, series: &Series) -> StepReport {
        let (counted, accept_us) = self.met.read();
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
            unanswered: counted.unanswered,
            unsent: counted.unsent,
            delivered_per_s: series.speed(self.window, |sample| sample.delivered),
            backlog: series.at(self.window.to_s, |sample| sample.open as f64) as u64,
            accept_ms: Percentiles::of(&accept_us),
            delivered_ms: Percentiles::of(&self.delivered_us),
        }
    }
}

/// What came of all steps, once every order has come to its end.
pub(super) async fn reports(scene: &Scene, mut steps: Vec<Step>) -> Result<Vec<StepReport>> {
    scene.each_order(None, |order| steps.iter_mut().for_each(|step| step.note(order))).await?;
    let series = scene.watch.series();
    Ok(steps.iter().map(|step| step.report(&series)).collect())
}
