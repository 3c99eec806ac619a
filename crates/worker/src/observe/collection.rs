//! The service that reads, from time to time, what cannot be counted as it happens: how much waits, how old it is, and what
//! the process costs. Only reads.

use std::sync::Arc;
use std::time::Duration;

use application::pipeline::topology;
use application::ports::{Overview, Readers, VitalSigns, Vitals};
use application::saga::SagaState;
use bus::{Clock, Fault, PauseBoard, Paused, Running, ServiceStatus, Stop};
use jiff::{SignedDuration, Timestamp};

use super::{Observation, process};
use crate::metrics::{Metric, Registry};

/// How messages that wait for a broker are called.
const OUTBOX: &str = "outbox";

/// How long past its limit an order may be before it is overdue: its timer has to fire and its message to be handled.
pub const OVERDUE_GRACE: SignedDuration = SignedDuration::from_secs(30);

/// Reads the state of every service.
pub type Statuses = Box<dyn Fn() -> Vec<ServiceStatus> + Send + Sync>;

/// Collects what is shown in gauges.
pub struct MetricsCollectionService {
    /// The read side.
    pub readers: Arc<dyn Readers>,
    /// Ages and what is overdue.
    pub vitals: Arc<dyn VitalSigns>,
    /// Where it is shown.
    pub observation: Observation,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The state of every service.
    pub statuses: Statuses,
    /// Which consumers are paused.
    pub pauses: PauseBoard,
    /// How often it is done.
    pub every: Duration,
}

impl MetricsCollectionService {
    /// Its name.
    pub const NAME: &'static str = "metrics-collection-service";

    /// Runs until stopped.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        while !stop.is_stopped() {
            match self.step().await {
                Ok(()) => self.observation.pulses.beat(Self::NAME),
                Err(fault) => {
                    self.observation.pulses.fail(Self::NAME, &fault);
                    tracing::warn!(%fault, "what the store holds cannot be counted");
                }
            }
            stop.sleep(self.every).await;
        }
    }

    /// Reads everything once.
    ///
    /// # Errors
    /// Those of the store; what needs no store is shown all the same.
    pub async fn step(&self) -> Result<(), Fault> {
        let registry = &self.observation.registry;
        process::show(registry);
        self.show_services();
        for provider in &self.observation.providers {
            provider.show_breaker();
            provider.show_turns();
        }
        let now = self.clock.now();
        show_pauses(registry, &self.pauses.paused(), now);
        show_counts(registry, &self.readers.overview().await?);
        let overdue_since = now.saturating_sub(OVERDUE_GRACE).unwrap_or(Timestamp::MIN);
        show_vitals(registry, &self.vitals.vitals(overdue_since).await?, now);
        registry.set(Metric::CollectedAt, &[], now.as_microsecond() as f64 / 1e6);
        Ok(())
    }

    fn show_services(&self) {
        let registry = &self.observation.registry;
        for service in (self.statuses)() {
            let up = match service.running {
                Running::Yes => 1.0,
                Running::Restarting | Running::Stopped => 0.0,
            };
            registry.set(Metric::ServiceUp, &[service.name], up);
            registry.set_total(Metric::ServiceRestarts, &[service.name], f64::from(service.restarts));
        }
    }
}

fn show_counts(registry: &Registry, counts: &Overview) {
    for (status, count) in &counts.orders {
        registry.set(Metric::Orders, &[status], *count as f64);
    }
    for (state, count) in &counts.sagas {
        registry.set(Metric::Sagas, &[state], *count as f64);
    }
    registry.set(Metric::OutboxBacklog, &[], 0.0);
    for (queue, count) in &counts.queues {
        match queue.as_str() {
            OUTBOX => registry.set(Metric::OutboxBacklog, &[], *count as f64),
            queue => registry.set(Metric::QueueDepth, &[queue], *count as f64),
        }
    }
    registry.set(Metric::DeadLetters, &[], counts.dead_letters as f64);
    registry.set(Metric::Timers, &[], counts.timers as f64);
    registry.set(Metric::MessagesDelayed, &[], counts.waiting as f64);
}

fn show_vitals(registry: &Registry, vitals: &Vitals, now: Timestamp) {
    for state in SagaState::ALL.iter().filter(|state| !state.is_final()) {
        let oldest = vitals.oldest_sagas.iter().find(|(name, _)| name == state.as_str());
        registry.set(Metric::SagaOldestAge, &[state.as_str()], age(oldest.map(|(_, at)| *at), now));
    }
    let oldest_in = |queue: &str| {
        let oldest = vitals.oldest_messages.iter().find(|(name, _)| name == queue);
        age(oldest.map(|(_, at)| *at), now)
    };
    for queue in topology().all_queues() {
        registry.set(Metric::QueueOldestAge, &[&queue], oldest_in(&queue));
    }
    registry.set(Metric::OutboxOldestAge, &[], oldest_in(OUTBOX));
    registry.set(Metric::SagasOverdue, &[], vitals.overdue_sagas as f64);
    registry.set(Metric::TimerOverdueAge, &[], age(vitals.first_timer, now));
    registry.set(Metric::UnmatchedEvents, &[], vitals.unmatched_events as f64);
    registry.set(Metric::ProductsLow, &[], vitals.low_products as f64);
    registry.set(Metric::ProductsShort, &[], vitals.short_products as f64);
}

/// A pause that has just begun counts as a second: 0 says that a consumer is not paused.
fn show_pauses(registry: &Registry, paused: &[Paused], now: Timestamp) {
    for queue in topology().all_queues() {
        let since = paused.iter().find(|paused| paused.queue == queue).map(|paused| paused.at);
        let age = since.map_or(0.0, |at| age(Some(at), now).max(1.0));
        registry.set(Metric::ConsumerPausedAge, &[&queue], age);
    }
}

/// Seconds since then; 0 if there is no such moment, or it is yet to come.
fn age(at: Option<Timestamp>, now: Timestamp) -> f64 {
    at.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_told_with_its_age_and_a_consumer_that_reads_with_none() {
        let registry = Registry::default();
        let now = Timestamp::from_second(1_800_000_000).expect("a moment");
        let paused = |at| Paused { queue: "payment".into(), at, by: "ops".to_owned(), note: String::new() };
        let age_of = |queue: &str| registry.value(Metric::ConsumerPausedAge, &[queue]);
        for (at, age) in [(now - SignedDuration::from_secs(90), 90.0), (now, 1.0)] {
            show_pauses(&registry, &[paused(at)], now);
            assert_eq!((age_of("payment"), age_of("shipping")), (Some(age), Some(0.0)));
        }
        show_pauses(&registry, &[], now);
        assert_eq!(age_of("payment"), Some(0.0));
    }
}
