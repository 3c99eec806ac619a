//! A unit of work in memory. It works on a copy, and its commit puts the copy in place. Only one exists at a time, as
//! in an embedded store. Dropping it changes nothing.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::OwnedMutexGuard;
use tokio::task::yield_now;

use super::mishap::Act;
use super::shared::Shared;
use super::tables::Tables;
use crate::{
    Admission, CorrelationId, Delivery, Envelope, Fault, Retired, Settlement, Timer, TimerKey, Unit,
};

/// One transaction over the bus's tables and the user's own.
pub struct MemoryUnit<T> {
    /// The user's own tables, as this transaction sees them.
    pub data: T,
    tables: Tables,
    published: Vec<Envelope>,
    own_rows: Vec<i64>,
    shared: Arc<Shared<T>>,
    _turn: OwnedMutexGuard<()>,
}

impl<T: Clone + Send + 'static> MemoryUnit<T> {
    pub(super) fn over(shared: Arc<Shared<T>>, turn: OwnedMutexGuard<()>) -> Self {
        let (tables, data) = shared.read(|committed| (committed.tables.clone(), committed.data.clone()));
        Self { data, tables, published: Vec::new(), own_rows: Vec::new(), shared, _turn: turn }
    }
}

/// Every operation yields, so that other tasks run and an aborted task can end here.
async fn step<T: Send>(shared: &Shared<T>, act: Act) -> Result<(), Fault> {
    yield_now().await;
    shared.mishaps.pass(act)
}

#[async_trait]
impl<T: Clone + Send + 'static> Unit for MemoryUnit<T> {
    async fn publish(&mut self, envelopes: Vec<Envelope>) -> Result<(), Fault> {
        step(&self.shared, Act::Publish).await?;
        for envelope in &envelopes {
            let before = self.tables.last_position();
            self.shared.route(&mut self.tables, envelope);
            self.own_rows.extend(before + 1..=self.tables.last_position());
        }
        self.published.extend(envelopes);
        Ok(())
    }

    async fn reclaim(&mut self, queues: &[Arc<str>]) -> Result<Vec<Delivery>, Fault> {
        yield_now().await;
        Ok(self.shared.reclaim(&mut self.tables, &mut self.own_rows, queues))
    }

    async fn settle(&mut self, settlements: Vec<Settlement>) -> Result<(), Fault> {
        step(&self.shared, Act::Settle).await?;
        settlements.into_iter().try_for_each(|settlement| self.tables.settle(settlement))
    }

    async fn unpark(&mut self, correlations: &[CorrelationId], _now: Timestamp) -> Result<usize, Fault> {
        yield_now().await;
        Ok(self.tables.unpark(correlations))
    }

    async fn requeue_due(&mut self, now: Timestamp, max: usize) -> Result<usize, Fault> {
        yield_now().await;
        Ok(self.tables.requeue_due(now, max))
    }

    async fn set_timers(&mut self, timers: Vec<Timer>) -> Result<(), Fault> {
        yield_now().await;
        self.tables.timers.extend(timers.into_iter().map(|timer| (timer.key.clone(), timer)));
        Ok(())
    }

    async fn cancel_timers(&mut self, timers: Vec<TimerKey>) -> Result<(), Fault> {
        yield_now().await;
        for key in &timers {
            self.tables.timers.remove(key);
        }
        Ok(())
    }

    async fn lease_due_timers(&mut self, now: Timestamp, max: usize) -> Result<Vec<Timer>, Fault> {
        yield_now().await;
        Ok(self.tables.lease_due_timers(now, max))
    }

    async fn retire_timers(&mut self, timers: Vec<Retired>) -> Result<Vec<Retired>, Fault> {
        yield_now().await;
        Ok(self.tables.retire_timers(timers))
    }

    async fn admit(
        &mut self,
        source: &str,
        ids: &[String],
        _now: Timestamp,
    ) -> Result<Vec<Admission>, Fault> {
        yield_now().await;
        Ok(ids.iter().map(|id| self.tables.admit(source, id)).collect())
    }

    async fn commit(self: Box<Self>) -> Result<(), Fault> {
        step(&self.shared, Act::Commit).await?;
        let unit = *self;
        unit.shared.commit(unit.tables, unit.data, unit.published);
        drop(unit._turn);
        yield_now().await;
        unit.shared.mishaps.pass(Act::CommitAnswer)
    }
}
