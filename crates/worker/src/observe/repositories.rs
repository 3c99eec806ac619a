//! The repositories of an observed unit of work whose calls are worth a note. Each is passed on whole, so that a store
//! that does better than the default does so here too.

use application::ports::{
    HistoryEntry, HistoryRepository, InventoryRepository, NewOrderRow, OrderRepository, ProductRepository,
    ReferencedOrder, ReservationOutcome, StatusMove, StockDemand,
};
use async_trait::async_trait;
use bus::Fault;
use domain::{
    CustomerId, Inventory, MovementCause, MovementKind, Order, OrderId, OrderStatus, Product, ProductId,
    Rejection, Sku, StockMovement,
};
use jiff::Timestamp;

use super::unit::ObservedUnit;

#[async_trait]
impl OrderRepository for ObservedUnit {
    async fn create(&mut self, orders: &[NewOrderRow]) -> Result<(), Fault> {
        self.notes.accepted(orders.len());
        if let Some(trail) = &mut self.trail {
            trail.accepted(orders);
        }
        self.inner.orders().create(orders).await
    }

    async fn update(&mut self, moves: &[StatusMove]) -> Result<(), Fault> {
        self.notes.moved(moves);
        self.inner.orders().update(moves).await
    }

    async fn get_orders_with_items(&mut self, ids: &[OrderId]) -> Result<Vec<Order>, Fault> {
        self.inner.orders().get_orders_with_items(ids).await
    }

    async fn get_orders_by_status(
        &mut self,
        status: OrderStatus,
        after: Option<OrderId>,
        max: usize,
    ) -> Result<Vec<OrderId>, Fault> {
        self.inner.orders().get_orders_by_status(status, after, max).await
    }

    async fn get_demand(&mut self, ids: &[OrderId]) -> Result<Vec<StockDemand>, Fault> {
        self.inner.orders().get_demand(ids).await
    }

    async fn get_saga_moved_at(&mut self, id: OrderId) -> Result<Option<Timestamp>, Fault> {
        self.inner.orders().get_saga_moved_at(id).await
    }

    async fn payment_tokens(&mut self, ids: &[OrderId]) -> Result<Vec<(OrderId, String)>, Fault> {
        self.inner.orders().payment_tokens(ids).await
    }

    async fn details(&mut self, ids: &[OrderId]) -> Result<Vec<(OrderId, String)>, Fault> {
        self.inner.orders().details(ids).await
    }

    async fn awaiting_stock(
        &mut self,
        products: &[ProductId],
        after: Option<OrderId>,
        max: usize,
    ) -> Result<Vec<StockDemand>, Fault> {
        self.inner.orders().awaiting_stock(products, after, max).await
    }

    async fn put_details(&mut self, id: OrderId, details: &str) -> Result<(), Fault> {
        self.inner.orders().put_details(id, details).await
    }

    async fn put_lines(&mut self, order: &Order) -> Result<(), Fault> {
        self.inner.orders().put_lines(order).await
    }

    async fn delivered_to(&mut self, customers: &[CustomerId]) -> Result<Vec<CustomerId>, Fault> {
        self.inner.orders().delivered_to(customers).await
    }

    async fn find_by_external_reference(
        &mut self,
        references: &[String],
    ) -> Result<Vec<ReferencedOrder>, Fault> {
        self.inner.orders().find_by_external_reference(references).await
    }
}

#[async_trait]
impl ProductRepository for ObservedUnit {
    async fn get_by_ids(&mut self, ids: &[ProductId]) -> Result<Vec<Product>, Fault> {
        self.inner.products().get_by_ids(ids).await
    }

    async fn get_by_skus(&mut self, skus: &[Sku]) -> Result<Vec<Product>, Fault> {
        self.inner.products().get_by_skus(skus).await
    }

    async fn upsert(&mut self, products: &[Product]) -> Result<(), Fault> {
        self.inner.products().upsert(products).await
    }

    async fn update_inventory(
        &mut self,
        changed: &[Inventory],
        movements: &[StockMovement],
        at: Timestamp,
    ) -> Result<(), Fault> {
        for movement in movements {
            self.notes.stock(movement.kind, movement.quantity);
        }
        self.inner.products().update_inventory(changed, movements, at).await
    }

    async fn get_low_stock_products(&mut self, max: usize) -> Result<Vec<Inventory>, Fault> {
        self.inner.products().get_low_stock_products(max).await
    }
}

#[async_trait]
impl InventoryRepository for ObservedUnit {
    async fn lock(&mut self, ids: &[ProductId]) -> Result<Vec<Inventory>, Fault> {
        self.inner.inventory().lock(ids).await
    }

    async fn available(&mut self, ids: &[ProductId]) -> Result<Vec<(ProductId, i64)>, Fault> {
        self.inner.inventory().available(ids).await
    }

    async fn reserve_stock(
        &mut self,
        demands: &[StockDemand],
        at: Timestamp,
    ) -> Result<Vec<ReservationOutcome>, Fault> {
        let began_at = self.clock.now();
        let outcomes = self.inner.inventory().reserve_stock(demands, at).await?;
        if let Some(trail) = &mut self.trail {
            trail.reserved(demands, &outcomes, began_at, self.clock.now());
        }
        for (demand, outcome) in demands.iter().zip(&outcomes) {
            match outcome {
                ReservationOutcome::Reserved => {
                    self.notes.reserved();
                    self.note_lines(MovementKind::Reserved, demand);
                }
                ReservationOutcome::Short(_) => self.notes.fell_short(),
            }
        }
        Ok(outcomes)
    }

    async fn release_reservation(&mut self, demands: &[StockDemand], at: Timestamp) -> Result<(), Fault> {
        demands.iter().for_each(|demand| self.note_lines(MovementKind::Released, demand));
        self.inner.inventory().release_reservation(demands, at).await
    }

    async fn ship_reservation(&mut self, demands: &[StockDemand], at: Timestamp) -> Result<(), Fault> {
        demands.iter().for_each(|demand| self.note_lines(MovementKind::Shipped, demand));
        self.inner.inventory().ship_reservation(demands, at).await
    }

    async fn update_available_stock(
        &mut self,
        changes: &[(ProductId, i64, MovementCause)],
        at: Timestamp,
    ) -> Result<Result<Vec<Inventory>, Rejection>, Fault> {
        let updated = self.inner.inventory().update_available_stock(changes, at).await?;
        if updated.is_ok() {
            for (_, units, cause) in changes {
                let kind = match cause {
                    MovementCause::Adjustment { .. } => MovementKind::Adjusted,
                    MovementCause::Import(_) | MovementCause::Order(_) => MovementKind::Received,
                };
                self.notes.stock(kind, *units);
            }
        }
        Ok(updated)
    }
}

#[async_trait]
impl HistoryRepository for ObservedUnit {
    async fn append(&mut self, entries: &[HistoryEntry]) -> Result<(), Fault> {
        self.notes.happened(entries);
        self.inner.history().append(entries).await
    }
}

impl ObservedUnit {
    fn note_lines(&mut self, kind: MovementKind, demand: &StockDemand) {
        demand.lines.iter().for_each(|(_, units)| self.notes.stock(kind, *units));
    }
}
