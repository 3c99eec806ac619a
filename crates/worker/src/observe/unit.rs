//! A unit of work that counts what is done through it and tells once it is committed: what was rolled back never happened.
//! One note for a whole batch; must never change what passes through.

use std::sync::Arc;
use std::time::Duration;

use application::order_timeout_service::OrderTimeoutService;
use application::ports::{
    AnyUnit, AuditRepository, HistoryRepository, HoldRepository, IdempotencyRepository, InventoryRepository,
    OrderRepository, PaymentRepository, ProductRepository, ReturnRepository, ShipmentRepository, UnitOfWork,
    UnmatchedRepository, WebhookEndpointRepository,
};
use application::saga::OrderProcessingSaga;
use async_trait::async_trait;
use bus::{
    Admission, Clock, CorrelationId, Delivery, Envelope, Fault, Retired, SagaRepository, Settlement, Store,
    Timer, TimerKey, Unit,
};
use jiff::Timestamp;
use tokio::time::Instant;

use super::notes::Notes;
use super::trail::Trail;
use super::words::verdict_word;
use super::{Observation, Pulses};
use crate::metrics::{Metric, Registry};
use crate::otlp::Tracer;

/// A store whose units of work are observed.
pub struct ObservedStore {
    inner: Arc<dyn Store<AnyUnit>>,
    registry: Arc<Registry>,
    pulses: Arc<Pulses>,
    clock: Arc<dyn Clock>,
    tracer: Option<Tracer>,
    slow: Duration,
}

impl ObservedStore {
    /// The same store, observed; a unit that takes longer than `slow` is logged.
    #[must_use]
    pub fn new(inner: Arc<dyn Store<AnyUnit>>, observation: &Observation, slow: Duration) -> Self {
        let (registry, pulses) = (Arc::clone(&observation.registry), Arc::clone(&observation.pulses));
        let (clock, tracer) = (Arc::clone(&observation.clock), observation.tracer.clone());
        Self { inner, registry, pulses, clock, tracer, slow }
    }
}

#[async_trait]
impl Store<AnyUnit> for ObservedStore {
    async fn begin(&self) -> Result<Box<AnyUnit>, Fault> {
        let asked_at = Instant::now();
        let begun = self.inner.begin().await;
        let begun_at = Instant::now();
        let error = begun.as_ref().err().map_or("", |fault| verdict_word(fault.verdict));
        self.registry.observe(Metric::DatabaseDuration, &["begin", error], begun_at - asked_at);
        let (registry, pulses) = (Arc::clone(&self.registry), Arc::clone(&self.pulses));
        let (inner, slow, notes) = (begun?, self.slow, Notes::default());
        let clock = Arc::clone(&self.clock);
        let trail = self.tracer.clone().map(|tracer| Trail::new(tracer, clock.now()));
        Ok(Box::new(ObservedUnit { inner, registry, pulses, clock, slow, begun_at, notes, trail }))
    }
}

/// One transaction, observed.
pub(super) struct ObservedUnit {
    pub(super) inner: Box<AnyUnit>,
    registry: Arc<Registry>,
    pulses: Arc<Pulses>,
    pub(super) clock: Arc<dyn Clock>,
    slow: Duration,
    begun_at: Instant,
    pub(super) notes: Notes,
    pub(super) trail: Option<Trail>,
}

#[async_trait]
impl Unit for ObservedUnit {
    async fn publish(&mut self, mut envelopes: Vec<Envelope>) -> Result<(), Fault> {
        self.notes.published(&envelopes);
        if let Some(trail) = &mut self.trail {
            trail.send_on(&mut envelopes);
        }
        self.inner.publish(envelopes).await
    }

    async fn reclaim(&mut self, queues: &[Arc<str>]) -> Result<Vec<Delivery>, Fault> {
        self.inner.reclaim(queues).await
    }

    async fn settle(&mut self, settlements: Vec<Settlement>) -> Result<(), Fault> {
        self.notes.settled(&settlements);
        if let Some(trail) = &mut self.trail {
            trail.settled(&settlements);
        }
        self.inner.settle(settlements).await
    }

    async fn unpark(&mut self, correlations: &[CorrelationId], now: Timestamp) -> Result<usize, Fault> {
        self.inner.unpark(correlations, now).await
    }

    async fn requeue_due(&mut self, now: Timestamp, max: usize) -> Result<usize, Fault> {
        self.inner.requeue_due(now, max).await
    }

    async fn set_timers(&mut self, mut timers: Vec<Timer>) -> Result<(), Fault> {
        if let Some(trail) = &self.trail {
            trail.set(&mut timers);
        }
        self.inner.set_timers(timers).await
    }

    async fn cancel_timers(&mut self, timers: Vec<TimerKey>) -> Result<(), Fault> {
        self.inner.cancel_timers(timers).await
    }

    async fn lease_due_timers(&mut self, now: Timestamp, max: usize) -> Result<Vec<Timer>, Fault> {
        let due = self.inner.lease_due_timers(now, max).await?;
        self.pulses.beat(OrderTimeoutService::NAME);
        self.notes.fired(&due, now);
        Ok(due)
    }

    async fn retire_timers(&mut self, timers: Vec<Retired>) -> Result<Vec<Retired>, Fault> {
        self.inner.retire_timers(timers).await
    }

    async fn admit(&mut self, source: &str, ids: &[String], now: Timestamp) -> Result<Vec<Admission>, Fault> {
        self.inner.admit(source, ids, now).await
    }

    async fn commit(self: Box<Self>) -> Result<(), Fault> {
        let Self { inner, registry, begun_at, notes, slow, trail, clock, .. } = *self;
        let asked_at = Instant::now();
        let committed = inner.commit().await;
        let ended_at = Instant::now();
        let error = committed.as_ref().err().map_or("", |fault| verdict_word(fault.verdict));
        registry.observe(Metric::DatabaseDuration, &["commit", error], ended_at - asked_at);
        registry.observe(Metric::DatabaseDuration, &["unit", error], ended_at - begun_at);
        let took = ended_at - begun_at;
        if took >= slow {
            let (took_ms, commit_ms) = (took.as_millis() as u64, (ended_at - asked_at).as_millis() as u64);
            tracing::warn!(queue = notes.queue(), took_ms, commit_ms, error, "a unit of work was slow");
        }
        if committed.is_ok() {
            notes.tell(&registry, took);
            if let Some(trail) = trail {
                trail.tell(clock.now());
            }
        }
        committed
    }
}

#[async_trait]
impl SagaRepository<OrderProcessingSaga> for ObservedUnit {
    async fn load_sagas(&mut self, ids: &[CorrelationId]) -> Result<Vec<OrderProcessingSaga>, Fault> {
        self.inner.load_sagas(ids).await
    }

    async fn insert_sagas(&mut self, sagas: &[OrderProcessingSaga], now: Timestamp) -> Result<(), Fault> {
        self.inner.insert_sagas(sagas, now).await
    }

    async fn update_sagas(&mut self, sagas: &[OrderProcessingSaga], now: Timestamp) -> Result<(), Fault> {
        self.notes.changed(sagas);
        if let Some(trail) = &mut self.trail {
            trail.changed(sagas);
        }
        self.inner.update_sagas(sagas, now).await
    }
}

impl UnitOfWork for ObservedUnit {
    fn orders(&mut self) -> &mut dyn OrderRepository {
        self
    }

    fn products(&mut self) -> &mut dyn ProductRepository {
        self
    }

    fn inventory(&mut self) -> &mut dyn InventoryRepository {
        self
    }

    fn payments(&mut self) -> &mut dyn PaymentRepository {
        self.inner.payments()
    }

    fn shipments(&mut self) -> &mut dyn ShipmentRepository {
        self.inner.shipments()
    }

    fn history(&mut self) -> &mut dyn HistoryRepository {
        self
    }

    fn holds(&mut self) -> &mut dyn HoldRepository {
        self.inner.holds()
    }

    fn returns(&mut self) -> &mut dyn ReturnRepository {
        self.inner.returns()
    }

    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository {
        self.inner.idempotency()
    }

    fn audit(&mut self) -> &mut dyn AuditRepository {
        self.inner.audit()
    }

    fn unmatched(&mut self) -> &mut dyn UnmatchedRepository {
        self.inner.unmatched()
    }

    fn webhook_endpoints(&mut self) -> &mut dyn WebhookEndpointRepository {
        self.inner.webhook_endpoints()
    }
}
