//! Imports products into the catalogue, with their initial stock. Data of a known product is replaced, except its
//! stock and what is left out. A second import changes nothing.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bus::Fault;
use domain::{Availability, Inventory, Money, MovementCause, Product, ProductId, ShippingFacts, Sku};
use jiff::Timestamp;

use super::Command;
use crate::context::Context;
use crate::ports::{AuditEntry, UnitOfWork};

/// A product as it comes from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewProduct {
    /// Its name in the trade.
    pub sku: Sku,
    /// Its name.
    pub name: String,
    /// More about it; if not given, a known product keeps its description and a new one has none.
    pub description: Option<String>,
    /// What one costs.
    pub price: Money,
    /// Its initial stock; a known product keeps its stock.
    pub stock: i64,
    /// The reorder level; if not given, a known product keeps its level and a new one has none.
    pub reorder_level: Option<i64>,
    /// Whether it may be ordered; if not given, a known product stays as it is and a new one may be.
    pub availability: Option<Availability>,
    /// What a carrier and the customs need to know of it; if not given, a known product keeps what it has.
    pub shipping: Option<ShippingFacts>,
}

/// Import these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportProductsCommand {
    /// The products; each sku once.
    pub products: Vec<NewProduct>,
    /// Name of the import, stored in the ledger as the cause of the initial stock.
    pub import: String,
}

#[async_trait]
impl Command for ImportProductsCommand {
    /// How many products were new.
    type Reply = usize;

    const NAME: &'static str = "ImportProductsCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<usize, Fault> {
        let now = context.clock.now();
        let skus: Vec<Sku> = self.products.iter().map(|product| product.sku.clone()).collect();
        let known = unit.products().get_by_skus(&skus).await?;
        let is_new = |product: &&NewProduct| !known.iter().any(|known| known.sku == product.sku);
        let rows: Vec<Product> = self.products.iter().map(|product| row(product, &known, now)).collect();
        let reordered = self.reordered(unit, &known, now).await?;
        unit.products().upsert(&rows).await?;
        if !reordered.is_empty() {
            unit.products().update_inventory(&reordered, &[], now).await?;
        }
        let fresh: Vec<&NewProduct> = self.products.iter().filter(is_new).collect();
        self.stock_up(unit, &fresh, now).await?;
        Ok(fresh.len())
    }
}

/// The same with an entry in the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedImportCommand {
    /// What to import.
    pub import: ImportProductsCommand,
    /// Who.
    pub actor: String,
}

#[async_trait]
impl Command for SignedImportCommand {
    /// How many products were new.
    type Reply = usize;

    const NAME: &'static str = "SignedImportCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<usize, Fault> {
        let created = self.import.handle(unit, context).await?;
        let entry = AuditEntry {
            at: context.clock.now(),
            actor: self.actor.clone(),
            action: "products import".to_owned(),
            subject: format!("import {}", self.import.import),
            note: format!("{} products, {created} of them new", self.import.products.len()),
        };
        unit.audit().record(&[entry]).await?;
        Ok(created)
    }
}

impl ImportProductsCommand {
    /// The locked stock of known products whose reorder level changes, with the new level.
    async fn reordered(
        &self,
        unit: &mut dyn UnitOfWork,
        known: &[Product],
        now: Timestamp,
    ) -> Result<Vec<Inventory>, Fault> {
        let levels: BTreeMap<ProductId, i64> = self
            .products
            .iter()
            .filter_map(|product| Some((ProductId::of(&product.sku), product.reorder_level?)))
            .filter(|(id, _)| known.iter().any(|known| known.id == *id))
            .collect();
        if levels.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<ProductId> = levels.keys().copied().collect();
        let mut stock = unit.inventory().lock(&ids).await?;
        stock.retain(|inventory| levels.get(&inventory.product_id()) != Some(&inventory.reorder_level()));
        for inventory in &mut stock {
            if let Some(level) = levels.get(&inventory.product_id()) {
                inventory.set_reorder_level(*level, now);
            }
        }
        Ok(stock)
    }

    async fn stock_up(
        &self,
        unit: &mut dyn UnitOfWork,
        fresh: &[&NewProduct],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let mut changed = Vec::with_capacity(fresh.len());
        let mut movements = Vec::with_capacity(fresh.len());
        for product in fresh {
            let mut inventory =
                Inventory::empty(ProductId::of(&product.sku), product.reorder_level.unwrap_or(0), now);
            if product.stock > 0 {
                let impossible = |rejection| Fault::give_up("products.import", rejection);
                let cause = MovementCause::Import(self.import.clone());
                let movement = inventory.receive(product.stock, cause).map_err(impossible)?;
                inventory.apply(&movement, now).map_err(impossible)?;
                movements.push(movement);
            }
            changed.push(inventory);
        }
        changed.sort_unstable_by_key(Inventory::product_id);
        unit.products().update_inventory(&changed, &movements, now).await
    }
}

fn row(new: &NewProduct, known: &[Product], now: Timestamp) -> Product {
    let known = known.iter().find(|known| known.sku == new.sku);
    let created_at = known.map_or(now, |known| known.created_at);
    let mut product = Product::new(new.sku.clone(), &new.name, new.price, created_at);
    if let Some(known) = known {
        product.description.clone_from(&known.description);
        product.availability = known.availability;
        product.shipping.clone_from(&known.shipping);
    }
    if let Some(description) = &new.description {
        product.description.clone_from(description);
    }
    if let Some(availability) = new.availability {
        product.availability = availability;
    }
    if let Some(shipping) = &new.shipping {
        product.shipping.clone_from(shipping);
    }
    product.updated_at = now;
    product
}
