//! A unit of work that may end badly: it passes everything on, and asks fate before it commits.

use std::sync::Arc;
use std::time::Duration;

use application::ports::{
    AnyUnit, AuditRepository, HistoryRepository, HoldRepository, IdempotencyRepository, InventoryRepository,
    OrderRepository, PaymentRepository, ProductRepository, ReturnRepository, ShipmentRepository, UnitOfWork,
    UnmatchedRepository, WebhookEndpointRepository,
};
use application::saga::OrderProcessingSaga;
use async_trait::async_trait;
use bus::{
    Admission, CorrelationId, Delivery, Envelope, Fault, Retired, SagaRepository, Settlement, Timer,
    TimerKey, Unit,
};
use jiff::Timestamp;

use super::fate::{Publication, StepFate, StepKind};
use super::store::Risks;

/// One transaction of a worker that may die.
pub(super) struct RiskyUnit {
    inner: Box<AnyUnit>,
    risks: Arc<Risks>,
    stock: Stock,
    echoes: Vec<(Envelope, Duration)>,
    /// What goes over the broker once all is committed, where the rest stays with the store.
    leaving: Vec<Envelope>,
}

/// Whether the stock may have changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stock {
    Untouched,
    Touched,
}

impl RiskyUnit {
    pub(super) const fn new(inner: Box<AnyUnit>, risks: Arc<Risks>) -> Self {
        Self { inner, risks, stock: Stock::Untouched, echoes: Vec::new(), leaving: Vec::new() }
    }

    async fn commit_for_good(self) -> Result<(), Fault> {
        self.inner.commit().await?;
        self.risks.send_off(&self.leaving);
        self.risks.echo(self.echoes);
        if self.stock == Stock::Touched {
            self.risks.check_stock().await;
        }
        Ok(())
    }
}

#[async_trait]
impl Unit for RiskyUnit {
    async fn publish(&mut self, envelopes: Vec<Envelope>) -> Result<(), Fault> {
        let mut arriving = Vec::with_capacity(envelopes.len());
        for envelope in envelopes {
            match self.risks.fate.publication(&envelope) {
                Publication::Once => arriving.push(envelope),
                Publication::Again(after) => {
                    self.echoes.push((envelope.clone(), after));
                    arriving.push(envelope);
                }
                Publication::Lost => {}
            }
        }
        let (leaving, staying): (Vec<_>, Vec<_>) =
            arriving.into_iter().partition(|envelope| self.risks.leaves(envelope));
        self.leaving.extend(leaving);
        self.inner.publish(staying).await
    }

    async fn reclaim(&mut self, queues: &[Arc<str>]) -> Result<Vec<Delivery>, Fault> {
        self.inner.reclaim(queues).await
    }

    async fn settle(&mut self, settlements: Vec<Settlement>) -> Result<(), Fault> {
        self.inner.settle(settlements).await
    }

    async fn unpark(&mut self, correlations: &[CorrelationId], now: Timestamp) -> Result<usize, Fault> {
        self.inner.unpark(correlations, now).await
    }

    async fn requeue_due(&mut self, now: Timestamp, max: usize) -> Result<usize, Fault> {
        self.inner.requeue_due(now, max).await
    }

    async fn set_timers(&mut self, mut timers: Vec<Timer>) -> Result<(), Fault> {
        timers.retain(|timer| !self.risks.fate.forgets(timer));
        self.inner.set_timers(timers).await
    }

    async fn cancel_timers(&mut self, timers: Vec<TimerKey>) -> Result<(), Fault> {
        self.inner.cancel_timers(timers).await
    }

    async fn lease_due_timers(&mut self, now: Timestamp, max: usize) -> Result<Vec<Timer>, Fault> {
        self.inner.lease_due_timers(now, max).await
    }

    async fn retire_timers(&mut self, timers: Vec<Retired>) -> Result<Vec<Retired>, Fault> {
        self.inner.retire_timers(timers).await
    }

    async fn admit(&mut self, source: &str, ids: &[String], now: Timestamp) -> Result<Vec<Admission>, Fault> {
        self.inner.admit(source, ids, now).await
    }

    async fn commit(self: Box<Self>) -> Result<(), Fault> {
        let risks = Arc::clone(&self.risks);
        match risks.ask(StepKind::Commit).await {
            StepFate::Done => self.commit_for_good().await,
            StepFate::Away => Err(Fault::retry("unit.commit", "the store is away")),
            StepFate::Conflict => Err(Fault::conflict("unit.commit", "another transaction won")),
            StepFate::AnswerLost => {
                self.commit_for_good().await?;
                Err(Fault::retry("unit.commit", "the store went away"))
            }
            StepFate::CrashBefore => {
                // The transaction of a process that died is rolled back at once.
                drop(self);
                risks.die().await
            }
            StepFate::CrashAfter => {
                self.commit_for_good().await?;
                risks.die().await
            }
        }
    }
}

#[async_trait]
impl SagaRepository<OrderProcessingSaga> for RiskyUnit {
    async fn load_sagas(&mut self, ids: &[CorrelationId]) -> Result<Vec<OrderProcessingSaga>, Fault> {
        self.inner.load_sagas(ids).await
    }

    async fn insert_sagas(&mut self, sagas: &[OrderProcessingSaga], now: Timestamp) -> Result<(), Fault> {
        self.inner.insert_sagas(sagas, now).await
    }

    async fn update_sagas(&mut self, sagas: &[OrderProcessingSaga], now: Timestamp) -> Result<(), Fault> {
        self.inner.update_sagas(sagas, now).await
    }
}

impl UnitOfWork for RiskyUnit {
    fn orders(&mut self) -> &mut dyn OrderRepository {
        self.inner.orders()
    }

    fn products(&mut self) -> &mut dyn ProductRepository {
        self.inner.products()
    }

    fn inventory(&mut self) -> &mut dyn InventoryRepository {
        self.stock = Stock::Touched;
        self.inner.inventory()
    }

    fn payments(&mut self) -> &mut dyn PaymentRepository {
        self.inner.payments()
    }

    fn shipments(&mut self) -> &mut dyn ShipmentRepository {
        self.inner.shipments()
    }

    fn history(&mut self) -> &mut dyn HistoryRepository {
        self.inner.history()
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
