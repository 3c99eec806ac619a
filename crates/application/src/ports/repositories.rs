//! The repositories: every method takes and returns sets and is one round trip. Rows are checked when read and
//! written.
//!
//! Faults: [`bus::Verdict::Retry`] when the store is away, [`bus::Verdict::Conflict`] when another transaction won,
//! [`bus::Verdict::GiveUp`] when a row breaks an invariant or a constraint.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::Fault;
use domain::{
    CustomerId, Hold, HoldRelease, Inventory, MovementCause, Order, OrderChange, OrderId, OrderReturn,
    OrderStatus, Payment, Product, ProductId, Rejection, Shipment, Sku, StockMovement,
};
use jiff::Timestamp;

/// An order to store, with data that the aggregate does not hold.
#[derive(Clone, Debug)]
pub struct NewOrderRow {
    /// The order.
    pub order: Order,
    /// How the customer pays, in the gateway's terms.
    pub payment_token: Option<String>,
    /// The source of its external reference; none if it has no reference.
    pub source: Option<Arc<str>>,
    /// What it says beside who wants what, as it is stored; none if nothing.
    pub details: Option<String>,
}

/// An order with an external reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferencedOrder {
    /// The reference.
    pub reference: String,
    /// Its source; none if the source was not stored when the order was accepted.
    pub source: Option<Arc<str>>,
    /// The order.
    pub order_id: OrderId,
}

/// A change of an order, and the status that it starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusMove {
    /// The status that the order must have; anything else is a conflict.
    pub from: OrderStatus,
    /// The status that it gets; the one that the change's event leads to.
    pub to: OrderStatus,
    /// What happened to it.
    pub change: OrderChange,
}

/// Orders and their lines.
#[async_trait]
pub trait OrderRepository: Send {
    /// Adds orders with their lines.
    async fn create(&mut self, orders: &[NewOrderRow]) -> Result<(), Fault>;

    /// Changes headline statuses. A conflict if an order does not have the status that its move starts from.
    async fn update(&mut self, moves: &[StatusMove]) -> Result<(), Fault>;

    /// The orders of `ids` that exist, with their lines, checked.
    async fn get_orders_with_items(&mut self, ids: &[OrderId]) -> Result<Vec<Order>, Fault>;

    /// This order with its lines, if it exists.
    async fn get_by_id(&mut self, id: OrderId) -> Result<Option<Order>, Fault> {
        Ok(self.get_orders_with_items(&[id]).await?.pop())
    }

    /// Up to `max` orders of a status, by id, after `after`.
    async fn get_orders_by_status(
        &mut self,
        status: OrderStatus,
        after: Option<OrderId>,
        max: usize,
    ) -> Result<Vec<OrderId>, Fault>;

    /// What each of these orders requests of each product, merged, in product order.
    async fn get_demand(&mut self, ids: &[OrderId]) -> Result<Vec<StockDemand>, Fault>;

    /// What orders that wait for goods and want one of these products request of each product, those of one order merged and in
    /// product order: up to `max` orders, oldest first, after `after`.
    async fn awaiting_stock(
        &mut self,
        products: &[ProductId],
        after: Option<OrderId>,
        max: usize,
    ) -> Result<Vec<StockDemand>, Fault>;

    /// When the saga of this order last moved; later with each change. It stays so if the unit has loaded the saga.
    async fn get_saga_moved_at(&mut self, id: OrderId) -> Result<Option<Timestamp>, Fault>;

    /// The payment tokens that came with these orders, of those that have one. Of an order that this unit has accepted they are known
    /// without a round trip.
    async fn payment_tokens(&mut self, ids: &[OrderId]) -> Result<Vec<(OrderId, String)>, Fault>;

    /// What these orders say beside who wants what, as stored, of those that say anything.
    async fn details(&mut self, ids: &[OrderId]) -> Result<Vec<(OrderId, String)>, Fault>;

    /// Stores what an order says beside who wants what, in place of what it said.
    async fn put_details(&mut self, id: OrderId, details: &str) -> Result<(), Fault>;

    /// Stores which units of an order are cancelled and what it costs since, in the row of its saga too. Whoever has loaded the saga
    /// updates it with that total in the same unit.
    async fn put_lines(&mut self, order: &Order) -> Result<(), Fault>;

    /// Those of these customers to whom an order was delivered.
    async fn delivered_to(&mut self, customers: &[CustomerId]) -> Result<Vec<CustomerId>, Fault>;

    /// The orders with one of these external references, from any source.
    async fn find_by_external_reference(
        &mut self,
        references: &[String],
    ) -> Result<Vec<ReferencedOrder>, Fault>;
}

/// The catalogue, and the stock row of each product. [`InventoryRepository`] defines what may be done to the stock.
#[async_trait]
pub trait ProductRepository: Send {
    /// Those of `ids` that exist.
    async fn get_by_ids(&mut self, ids: &[ProductId]) -> Result<Vec<Product>, Fault>;

    /// This product, if it exists.
    async fn get_by_id(&mut self, id: ProductId) -> Result<Option<Product>, Fault> {
        Ok(self.get_by_ids(&[id]).await?.pop())
    }

    /// Those of `skus` that exist.
    async fn get_by_skus(&mut self, skus: &[Sku]) -> Result<Vec<Product>, Fault>;

    /// Adds or replaces products; a new one gets an empty stock.
    async fn upsert(&mut self, products: &[Product]) -> Result<(), Fault>;

    /// Writes stock together with its movements, never one without the other.
    async fn update_inventory(
        &mut self,
        changed: &[Inventory],
        movements: &[StockMovement],
        at: Timestamp,
    ) -> Result<(), Fault>;

    /// Products on sale whose available stock is at or below the reorder level, in product order.
    async fn get_low_stock_products(&mut self, max: usize) -> Result<Vec<Inventory>, Fault>;
}

/// The demand of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockDemand {
    /// The order.
    pub order_id: OrderId,
    /// Units by product, merged, in product order.
    pub lines: Vec<(ProductId, i64)>,
}

/// A line that cannot be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The product.
    pub product_id: ProductId,
    /// Units wanted.
    pub requested: i64,
    /// Units available.
    pub available: i64,
}

/// The result for one order's demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReservationOutcome {
    /// Every line is reserved.
    Reserved,
    /// None is; these lines are short.
    Short(Vec<Shortage>),
}

/// Operations on stock: locked, decided, and written by [`ProductRepository::update_inventory`].
#[async_trait]
pub trait InventoryRepository: ProductRepository {
    /// The stock of these products, locked until the unit ends, in product order.
    async fn lock(&mut self, ids: &[ProductId]) -> Result<Vec<Inventory>, Fault>;

    /// The units of these products that are for sale, of those that exist. Nothing is locked.
    async fn available(&mut self, ids: &[ProductId]) -> Result<Vec<(ProductId, i64)>, Fault>;

    /// Reserves stock for orders, in the given order, each completely or not at all. Locks and writes each product
    /// once, however many orders want it.
    async fn reserve_stock(
        &mut self,
        demands: &[StockDemand],
        at: Timestamp,
    ) -> Result<Vec<ReservationOutcome>, Fault> {
        let mut shelf = Shelf::lock(self, demands).await?;
        let outcomes = demands.iter().map(|demand| shelf.reserve(demand, at)).collect::<Result<_, _>>()?;
        shelf.store(self, at).await?;
        Ok(outcomes)
    }

    /// Releases the stock reserved for these orders.
    async fn release_reservation(&mut self, demands: &[StockDemand], at: Timestamp) -> Result<(), Fault> {
        let mut shelf = Shelf::lock(self, demands).await?;
        shelf.move_all(demands, Inventory::release, at)?;
        shelf.store(self, at).await
    }

    /// Ships the stock reserved for these orders.
    async fn ship_reservation(&mut self, demands: &[StockDemand], at: Timestamp) -> Result<(), Fault> {
        let mut shelf = Shelf::lock(self, demands).await?;
        shelf.move_all(demands, Inventory::ship, at)?;
        shelf.store(self, at).await
    }

    /// Receives or adjusts stock: the change of each product, with its cause. A rejection names the first product
    /// that would go below zero; then nothing is changed.
    async fn update_available_stock(
        &mut self,
        changes: &[(ProductId, i64, MovementCause)],
        at: Timestamp,
    ) -> Result<Result<Vec<Inventory>, Rejection>, Fault> {
        let ids: Vec<ProductId> = changes.iter().map(|(id, _, _)| *id).collect();
        let mut stock = self.lock(&ids).await?;
        match booked(&mut stock, changes, at)? {
            Err(rejection) => Ok(Err(rejection)),
            Ok(movements) => {
                self.update_inventory(&stock, &movements, at).await?;
                Ok(Ok(stock))
            }
        }
    }
}

/// The movements of the changes, applied to `stock`; or the first rejection.
fn booked(
    stock: &mut [Inventory],
    changes: &[(ProductId, i64, MovementCause)],
    at: Timestamp,
) -> Result<Result<Vec<StockMovement>, Rejection>, Fault> {
    let mut movements = Vec::with_capacity(changes.len());
    for (id, units, cause) in changes {
        let Some(inventory) = stock.iter_mut().find(|inventory| inventory.product_id() == *id) else {
            return Err(Fault::give_up("inventory.update", format!("no stock row for product {id}")));
        };
        let applied = movement(inventory, *units, cause)
            .and_then(|movement| inventory.apply(&movement, at).map(|()| movement));
        match applied {
            Ok(movement) => movements.push(movement),
            Err(rejection) => return Ok(Err(rejection)),
        }
    }
    Ok(Ok(movements))
}

/// Stock of a catalogue import is received; a person's change is a correction.
fn movement(inventory: &Inventory, units: i64, cause: &MovementCause) -> Result<StockMovement, Rejection> {
    match cause {
        MovementCause::Adjustment { reason } => inventory.adjust(units, reason),
        MovementCause::Import(_) | MovementCause::Order(_) => inventory.receive(units, cause.clone()),
    }
}

/// The locked stock of one batch, with the movements decided so far.
struct Shelf {
    stock: BTreeMap<ProductId, Inventory>,
    touched: BTreeMap<ProductId, ()>,
    movements: Vec<StockMovement>,
}

impl Shelf {
    async fn lock<R: InventoryRepository + ?Sized>(
        repository: &mut R,
        demands: &[StockDemand],
    ) -> Result<Self, Fault> {
        let mut ids: Vec<ProductId> =
            demands.iter().flat_map(|demand| &demand.lines).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        let stock = repository.lock(&ids).await?;
        let stock = stock.into_iter().map(|inventory| (inventory.product_id(), inventory)).collect();
        Ok(Self { stock, touched: BTreeMap::new(), movements: Vec::new() })
    }

    fn reserve(&mut self, demand: &StockDemand, at: Timestamp) -> Result<ReservationOutcome, Fault> {
        let short: Vec<Shortage> = demand.lines.iter().filter_map(|line| self.shortage(line)).collect();
        if !short.is_empty() {
            return Ok(ReservationOutcome::Short(short));
        }
        self.move_all(std::slice::from_ref(demand), Inventory::reserve, at)?;
        Ok(ReservationOutcome::Reserved)
    }

    fn shortage(&self, &(product_id, requested): &(ProductId, i64)) -> Option<Shortage> {
        let available = self.stock.get(&product_id).map_or(0, Inventory::available);
        (available < requested).then_some(Shortage { product_id, requested, available })
    }

    fn move_all(
        &mut self,
        demands: &[StockDemand],
        verb: fn(&Inventory, i64, OrderId) -> Result<StockMovement, Rejection>,
        at: Timestamp,
    ) -> Result<(), Fault> {
        for demand in demands {
            for (product_id, units) in &demand.lines {
                self.move_one(*product_id, |inventory| verb(inventory, *units, demand.order_id), at)?;
            }
        }
        Ok(())
    }

    fn move_one(
        &mut self,
        product_id: ProductId,
        verb: impl Fn(&Inventory) -> Result<StockMovement, Rejection>,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let impossible = |rejection: Rejection| {
            Fault::give_up("inventory.move", format!("product {product_id}: {rejection}"))
        };
        let inventory = self.stock.get_mut(&product_id).ok_or_else(|| {
            Fault::give_up("inventory.move", format!("no stock row for product {product_id}"))
        })?;
        let movement = verb(inventory).map_err(impossible)?;
        inventory.apply(&movement, at).map_err(impossible)?;
        self.touched.insert(product_id, ());
        self.movements.push(movement);
        Ok(())
    }

    async fn store<R: InventoryRepository + ?Sized>(
        self,
        repository: &mut R,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let Self { stock, touched, movements } = self;
        let changed: Vec<Inventory> = stock
            .into_iter()
            .filter(|(id, _)| touched.contains_key(id))
            .map(|(_, inventory)| inventory)
            .collect();
        if changed.is_empty() { Ok(()) } else { repository.update_inventory(&changed, &movements, at).await }
    }
}

/// Payments.
#[async_trait]
pub trait PaymentRepository: Send {
    /// Adds payments; each key is stored before the gateway is called.
    async fn insert(&mut self, payments: &[Payment], at: Timestamp) -> Result<(), Fault>;

    /// Those of these orders that exist.
    async fn get(&mut self, order_ids: &[OrderId]) -> Result<Vec<Payment>, Fault>;

    /// Stores changed payments.
    async fn update(&mut self, payments: &[Payment], at: Timestamp) -> Result<(), Fault>;
}

/// Shipments.
#[async_trait]
pub trait ShipmentRepository: Send {
    /// Adds shipments; each key is stored before the carrier is called.
    async fn insert(&mut self, shipments: &[Shipment], at: Timestamp) -> Result<(), Fault>;

    /// Those of these orders that exist.
    async fn get(&mut self, order_ids: &[OrderId]) -> Result<Vec<Shipment>, Fault>;

    /// Stores changed shipments.
    async fn update(&mut self, shipments: &[Shipment], at: Timestamp) -> Result<(), Fault>;
}

/// One entry of an order's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The order.
    pub order_id: OrderId,
    /// When.
    pub at: Timestamp,
    /// The name of the event or the call.
    pub event: &'static str,
    /// The headline status afterwards.
    pub status: Option<OrderStatus>,
    /// The saga's state afterwards.
    pub saga_state: Option<crate::saga::SagaState>,
    /// Further text, if any.
    pub detail: Option<String>,
    /// Whether the saga refused it, so that nothing happened: in the timeline, but no event for those who follow orders.
    pub is_refused: bool,
}

impl HistoryEntry {
    /// An entry that no step of the saga made: the order stands as it stood.
    #[must_use]
    pub const fn without_step(order_id: OrderId, at: Timestamp, event: &'static str, detail: String) -> Self {
        let detail = Some(detail);
        Self { order_id, at, event, status: None, saga_state: None, detail, is_refused: false }
    }
}

/// The timelines of orders; append-only.
#[async_trait]
pub trait HistoryRepository: Send {
    /// Adds entries, in order.
    async fn append(&mut self, entries: &[HistoryEntry]) -> Result<(), Fault>;
}

/// Holds of orders. The saga's row is the lock of its order's holds.
#[async_trait]
pub trait HoldRepository: Send {
    /// Adds holds, none of them released.
    async fn place(&mut self, holds: &[Hold]) -> Result<(), Fault>;

    /// The holds of these orders, released ones too; those of one order oldest first.
    async fn get(&mut self, order_ids: &[OrderId]) -> Result<Vec<Hold>, Fault>;

    /// Records who released these holds; what was released before stays as it was.
    async fn release(&mut self, holds: &[Hold], release: &HoldRelease) -> Result<(), Fault>;
}

/// Returns of orders. The saga's row is the lock of its order's returns.
#[async_trait]
pub trait ReturnRepository: Send {
    /// Adds returns that are awaited.
    async fn request(&mut self, returns: &[OrderReturn]) -> Result<(), Fault>;

    /// The returns of these orders; those of one order oldest first.
    async fn get(&mut self, order_ids: &[OrderId]) -> Result<Vec<OrderReturn>, Fault>;

    /// Stores what became of an awaited return: how it ended, what arrived, what is paid back. One that ended before stays as it was.
    async fn end(&mut self, ended: &OrderReturn) -> Result<(), Fault>;

    /// Records that the gateway has given back what goes with the returns of these refund keys, of those that are any; the first
    /// time counts.
    async fn refunded(&mut self, refunds: &[(OrderId, String)], at: Timestamp) -> Result<(), Fault>;
}
