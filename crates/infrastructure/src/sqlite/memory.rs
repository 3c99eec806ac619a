//! Rows that this process read or wrote last, so that the next step of an order need not read back what the last one
//! wrote. True because one connection writes and nobody else is let in: what others commit, a commit of unknown outcome
//! and a restart all make it forget everything. What a unit saw enters only once the unit is committed.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use application::saga::OrderProcessingSaga;
use domain::{Inventory, OrderId, Payment, Product, ProductId, Shipment};

/// Rows kept of each table; an order in flight has about as long to come back as it takes for so many others to pass.
const ROWS_MAX: usize = 8_192;

/// The rows of one table.
pub(super) struct Memory<K, V> {
    rows: HashMap<K, V>,
    oldest_first: VecDeque<K>,
}

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self { rows: HashMap::new(), oldest_first: VecDeque::new() }
    }
}

impl<K: Copy + Eq + Hash, V> Memory<K, V> {
    fn keep(&mut self, id: K, row: V) {
        if self.rows.insert(id, row).is_some() {
            return;
        }
        self.oldest_first.push_back(id);
        if self.oldest_first.len() > ROWS_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.rows.remove(&oldest);
        }
    }

    fn forget(&mut self, id: K) {
        if self.rows.remove(&id).is_some() {
            self.oldest_first.retain(|kept| *kept != id);
        }
    }
}

/// What the writer remembers between units.
#[derive(Default)]
pub struct Memories {
    sagas: Memory<OrderId, OrderProcessingSaga>,
    payments: Memory<OrderId, Payment>,
    shipments: Memory<OrderId, Shipment>,
    stock: Memory<ProductId, StockRow>,
    products: Memory<ProductId, Product>,
}

/// What one unit has read and written, on top of what the writer remembers.
#[derive(Default)]
pub(super) struct View {
    /// Sagas.
    pub(super) sagas: HashMap<OrderId, OrderProcessingSaga>,
    /// Payments.
    pub(super) payments: HashMap<OrderId, Payment>,
    /// Shipments.
    pub(super) shipments: HashMap<OrderId, Shipment>,
    /// Stock.
    pub(super) stock: HashMap<ProductId, StockRow>,
    /// Products; none for one that was written and not read since.
    pub(super) products: HashMap<ProductId, Option<Product>>,
}

/// A product's stock and where its ledger ends.
#[derive(Clone)]
pub(super) struct StockRow {
    /// The counters.
    pub(super) inventory: Inventory,
    /// Position of the latest movement, if there was any.
    pub(super) last_movement: Option<i64>,
}

impl View {
    /// The saga as this unit sees it, if it is known without reading.
    pub(super) fn saga<'a>(&'a self, memories: &'a Memories, id: OrderId) -> Option<&'a OrderProcessingSaga> {
        self.sagas.get(&id).or_else(|| memories.sagas.rows.get(&id))
    }

    /// The payment as this unit sees it, if it is known without reading.
    pub(super) fn payment<'a>(&'a self, memories: &'a Memories, id: OrderId) -> Option<&'a Payment> {
        self.payments.get(&id).or_else(|| memories.payments.rows.get(&id))
    }

    /// The shipment as this unit sees it, if it is known without reading.
    pub(super) fn shipment<'a>(&'a self, memories: &'a Memories, id: OrderId) -> Option<&'a Shipment> {
        self.shipments.get(&id).or_else(|| memories.shipments.rows.get(&id))
    }

    /// The stock of a product as this unit sees it, if it is known without reading.
    pub(super) fn stock<'a>(&'a self, memories: &'a Memories, id: ProductId) -> Option<&'a StockRow> {
        self.stock.get(&id).or_else(|| memories.stock.rows.get(&id))
    }

    /// The product as this unit sees it, if it is known without reading.
    pub(super) fn product<'a>(&'a self, memories: &'a Memories, id: ProductId) -> Option<&'a Product> {
        match self.products.get(&id) {
            Some(seen) => seen.as_ref(),
            None => memories.products.rows.get(&id),
        }
    }
}

impl Memories {
    /// Takes in what a committed unit saw.
    pub(super) fn absorb(&mut self, view: View) {
        view.sagas.into_iter().for_each(|(id, row)| self.sagas.keep(id, row));
        view.payments.into_iter().for_each(|(id, row)| self.payments.keep(id, row));
        view.shipments.into_iter().for_each(|(id, row)| self.shipments.keep(id, row));
        view.stock.into_iter().for_each(|(id, row)| self.stock.keep(id, row));
        for (id, product) in view.products {
            match product {
                Some(product) => self.products.keep(id, product),
                None => self.products.forget(id),
            }
        }
    }
}
