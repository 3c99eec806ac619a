//! What is in stock.

use bus::Fault;
use domain::Sku;

use crate::ports::{InventoryView, LowOnly, Page, Readers};

/// List stock levels by sku.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetInventoryLevelsQuery {
    /// Whether only those at or below their reorder level.
    pub low: LowOnly,
    /// Only those that come after this one.
    pub after: Option<Sku>,
    /// How many at most.
    pub max: usize,
}

impl GetInventoryLevelsQuery {
    /// The levels.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(&self, readers: &dyn Readers) -> Result<Page<InventoryView>, Fault> {
        readers.inventory_levels(self.low, self.after.as_ref(), self.max).await
    }
}

/// Show the stock of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetStockOfProductQuery<'a> {
    /// The product.
    pub sku: &'a Sku,
}

impl GetStockOfProductQuery<'_> {
    /// Its stock; none if there is no such product.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(&self, readers: &dyn Readers) -> Result<Option<InventoryView>, Fault> {
        readers.inventory_of(self.sku).await
    }
}
