//! The read side: each query on a snapshot of its own, on a connection that cannot write.

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
use rusqlite::Connection;

use super::{SqliteStore, history, unmatched};

#[async_trait]
impl Readers for SqliteStore {
    async fn order(&self, id: OrderId) -> Result<Option<OrderView>, Fault> {
        self.read("orders.read", move |connection| orders::one(connection, id)).await
    }

    async fn orders(&self, filter: &OrderFilter, max: usize) -> Result<OrderPage, Fault> {
        let filter = filter.clone();
        self.read("orders.list", move |connection| orders::list(connection, &filter, max)).await
    }

    async fn history(&self, id: OrderId) -> Result<Option<Vec<HistoryView>>, Fault> {
        self.read("history.read", move |connection| orders::history(connection, id)).await
    }

    async fn products(&self, after: Option<&Sku>, max: usize) -> Result<Page<ProductView>, Fault> {
        let after = after.cloned();
        self.read("products.list", move |connection| stock::products(connection, after.as_ref(), max)).await
    }

    async fn inventory_levels(
        &self,
        low: LowOnly,
        after: Option<&Sku>,
        max: usize,
    ) -> Result<Page<InventoryView>, Fault> {
        let after = after.cloned();
        self.read("inventory.list", move |connection| stock::levels(connection, low, after.as_ref(), max))
            .await
    }

    async fn inventory_of(&self, sku: &Sku) -> Result<Option<InventoryView>, Fault> {
        let sku = sku.clone();
        self.read("inventory.read", move |connection| stock::level(connection, &sku)).await
    }

    async fn endangered_orders(&self, id: ProductId, max: usize) -> Result<Page<EndangeredOrderView>, Fault> {
        self.read("inventory.endangered", move |connection| stock::endangered(connection, id, max)).await
    }

    async fn reservations(
        &self,
        id: ProductId,
        after: Option<OrderId>,
        max: usize,
    ) -> Result<ReservationPage, Fault> {
        self.read("inventory.reservations", move |connection| stock::reservations(connection, id, after, max))
            .await
    }

    async fn movements(
        &self,
        id: ProductId,
        before: Option<i64>,
        max: usize,
    ) -> Result<Vec<MovementView>, Fault> {
        self.read("movements.list", move |connection| stock::movements(connection, id, before, max)).await
    }

    async fn sagas(&self, filter: &SagaFilter, max: usize) -> Result<SagaPage, Fault> {
        let filter = filter.clone();
        self.read("sagas.list", move |connection| sagas::list(connection, &filter, max)).await
    }

    async fn saga(&self, id: OrderId) -> Result<Option<SagaView>, Fault> {
        self.read("sagas.read", move |connection| sagas::one(connection, id)).await
    }

    async fn saga_states(&self, ids: &[OrderId]) -> Result<Vec<(OrderId, SagaState)>, Fault> {
        let ids = ids.to_vec();
        self.read("sagas.states", move |connection| sagas::states(connection, &ids)).await
    }

    async fn booked_payments(&self, ids: &[OrderId]) -> Result<Vec<BookedPayment>, Fault> {
        let ids = ids.to_vec();
        self.read("payments.list", move |connection| payments::of(connection, &ids)).await
    }

    async fn captured_payments(
        &self,
        after: Option<OrderId>,
        max: usize,
    ) -> Result<Page<BookedPayment>, Fault> {
        self.read("payments.list", move |connection| payments::captured(connection, after, max)).await
    }

    async fn overview(&self) -> Result<Overview, Fault> {
        self.read("overview.read", overview::read).await
    }

    async fn unmatched(&self, filter: &UnmatchedFilter, max: usize) -> Result<Page<UnmatchedView>, Fault> {
        let filter = *filter;
        self.read("unmatched.list", move |connection| unmatched::list(connection, &filter, max)).await
    }

    async fn audit(&self, filter: &AuditFilter, max: usize) -> Result<Page<AuditView>, Fault> {
        let filter = filter.clone();
        self.read("audit.list", move |connection| history::audit(connection, &filter, max)).await
    }

    async fn broken_invariants(
        &self,
        _now: Timestamp,
        max: usize,
    ) -> Result<Vec<BrokenInvariantView>, Fault> {
        self.read("invariants.check", move |connection| invariants::all(connection, max)).await
    }
}

impl SqliteStore {
    /// Recomputes the counters of every product from the ledger and compares; up to `max` that differ.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rebuild_check(&self, max: usize) -> Result<Vec<BrokenInvariantView>, Fault> {
        let check = move |connection: &Connection| invariants::ledger(connection, max);
        self.read("inventory.rebuild_check", check).await
    }
}
