//! The read side: every question is one statement and so sees one moment, on connections that cannot write.

mod audit;
mod filter;
mod invariants;
mod orders;
mod overview;
mod payments;
mod sagas;
mod stock;
mod vitals;

use application::ports::{
    AuditFilter, AuditView, BookedPayment, BrokenInvariantView, EndangeredOrderView, HistoryView,
    InventoryView, LowOnly, MovementView, OrderFilter, OrderPage, OrderView, Overview, Page, ProductView,
    Readers, ReservationPage, SagaFilter, SagaPage, SagaView, UnmatchedFilter, UnmatchedView,
};
use application::saga::SagaState;
use async_trait::async_trait;
use bus::Fault;
use domain::{OrderId, ProductId, Sku};
use jiff::Timestamp;

use super::PostgresStore;
use super::unmatched;

#[async_trait]
impl Readers for PostgresStore {
    async fn order(&self, id: OrderId) -> Result<Option<OrderView>, Fault> {
        orders::one(&self.reader("orders.read").await?, id).await
    }

    async fn orders(&self, filter: &OrderFilter, max: usize) -> Result<OrderPage, Fault> {
        orders::list(&self.reader("orders.list").await?, filter, max).await
    }

    async fn history(&self, id: OrderId) -> Result<Option<Vec<HistoryView>>, Fault> {
        orders::history(&self.reader("history.read").await?, id).await
    }

    async fn products(&self, after: Option<&Sku>, max: usize) -> Result<Page<ProductView>, Fault> {
        stock::products(&self.reader("products.list").await?, after, max).await
    }

    async fn inventory_levels(
        &self,
        low: LowOnly,
        after: Option<&Sku>,
        max: usize,
    ) -> Result<Page<InventoryView>, Fault> {
        stock::levels(&self.reader("inventory.list").await?, low, after, max).await
    }

    async fn inventory_of(&self, sku: &Sku) -> Result<Option<InventoryView>, Fault> {
        stock::level(&self.reader("inventory.read").await?, sku).await
    }

    async fn endangered_orders(&self, id: ProductId, max: usize) -> Result<Page<EndangeredOrderView>, Fault> {
        stock::endangered(&self.reader("inventory.endangered").await?, id, max).await
    }

    async fn reservations(
        &self,
        id: ProductId,
        after: Option<OrderId>,
        max: usize,
    ) -> Result<ReservationPage, Fault> {
        stock::reservations(&self.reader("inventory.reservations").await?, id, after, max).await
    }

    async fn movements(
        &self,
        id: ProductId,
        before: Option<i64>,
        max: usize,
    ) -> Result<Vec<MovementView>, Fault> {
        stock::movements(&self.reader("movements.list").await?, id, before, max).await
    }

    async fn sagas(&self, filter: &SagaFilter, max: usize) -> Result<SagaPage, Fault> {
        sagas::list(&self.reader("sagas.list").await?, filter, max).await
    }

    async fn saga(&self, id: OrderId) -> Result<Option<SagaView>, Fault> {
        sagas::one(&self.reader("sagas.read").await?, id).await
    }

    async fn saga_states(&self, ids: &[OrderId]) -> Result<Vec<(OrderId, SagaState)>, Fault> {
        sagas::states(&self.reader("sagas.states").await?, ids).await
    }

    async fn booked_payments(&self, ids: &[OrderId]) -> Result<Vec<BookedPayment>, Fault> {
        payments::of(&self.reader("payments.list").await?, ids).await
    }

    async fn captured_payments(
        &self,
        after: Option<OrderId>,
        max: usize,
    ) -> Result<Page<BookedPayment>, Fault> {
        payments::captured(&self.reader("payments.list").await?, after, max).await
    }

    async fn overview(&self) -> Result<Overview, Fault> {
        overview::read(&self.reader("overview.read").await?).await
    }

    async fn unmatched(&self, filter: &UnmatchedFilter, max: usize) -> Result<Page<UnmatchedView>, Fault> {
        unmatched::list(&self.reader("unmatched.list").await?, filter, max).await
    }

    async fn audit(&self, filter: &AuditFilter, max: usize) -> Result<Page<AuditView>, Fault> {
        audit::list(&self.reader("audit.list").await?, filter, max).await
    }

    async fn broken_invariants(
        &self,
        _now: Timestamp,
        max: usize,
    ) -> Result<Vec<BrokenInvariantView>, Fault> {
        let auditor = self.auditor("invariants.check").await?;
        invariants::all(&auditor, max).await
    }
}

impl PostgresStore {
    /// Recomputes the counters of every product from the ledger and compares; up to `max` that differ.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rebuild_check(&self, max: usize) -> Result<Vec<BrokenInvariantView>, Fault> {
        let auditor = self.auditor("inventory.rebuild_check").await?;
        invariants::ledger(&auditor, max).await
    }
}
