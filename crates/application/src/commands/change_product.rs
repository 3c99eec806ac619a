//! Changes data of a product: name, price, whether it is sold, reorder level. Stock changes are other commands.

use async_trait::async_trait;
use bus::Fault;
use domain::{Availability, Change, Inventory, Money, Product, ProductId, Rejection, ShippingFacts, Sku};
use jiff::Timestamp;

use super::Command;
use crate::context::Context;
use crate::ports::{AuditEntry, UnitOfWork};

/// Change the given fields of a product, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeProductCommand {
    /// Which product.
    pub sku: Sku,
    /// Its new name.
    pub name: Option<String>,
    /// Its new description.
    pub description: Option<String>,
    /// Its new price; orders keep the price they were placed at.
    pub price: Option<Money>,
    /// Whether it is sold from now on; accepted orders are served.
    pub availability: Option<Availability>,
    /// Its new reorder level.
    pub reorder_level: Option<i64>,
    /// What a carrier and the customs need to know of it from now on, in place of what was known.
    pub shipping: Option<ShippingFacts>,
    /// Who.
    pub actor: String,
    /// The reason.
    pub note: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeProductReply {
    /// Changed.
    Done {
        /// The product afterwards.
        product: Box<Product>,
        /// Its stock.
        inventory: Inventory,
    },
    /// Rejected.
    Rejected(Rejection),
    /// No such product.
    UnknownSku,
}

#[async_trait]
impl Command for ChangeProductCommand {
    type Reply = ChangeProductReply;

    const NAME: &'static str = "ChangeProductCommand";

    async fn handle(
        &self,
        unit: &mut dyn UnitOfWork,
        context: &Context,
    ) -> Result<ChangeProductReply, Fault> {
        let (now, id) = (context.clock.now(), ProductId::of(&self.sku));
        // The stock's lock covers the product too, so two changes of one product run one after the other.
        let mut stock = unit.inventory().lock(&[id]).await?;
        let product = unit.products().get_by_id(id).await?;
        let (Some(mut product), Some(inventory)) = (product, stock.first_mut()) else {
            return Ok(ChangeProductReply::UnknownSku);
        };
        let changed = match self.change(&mut product, now) {
            Ok(changed) => changed,
            Err(rejection) => return Ok(ChangeProductReply::Rejected(rejection)),
        };
        if changed.is_applied() {
            unit.products().upsert(std::slice::from_ref(&product)).await?;
        }
        if let Some(level) = self.reorder_level.filter(|level| *level != inventory.reorder_level()) {
            inventory.set_reorder_level(level, now);
            unit.products().update_inventory(&stock, &[], now).await?;
        }
        unit.audit().record(&[self.audit_entry(now)]).await?;
        Ok(ChangeProductReply::Done { product: Box::new(product), inventory: stock.remove(0) })
    }
}

impl ChangeProductCommand {
    fn change(&self, product: &mut Product, now: Timestamp) -> Result<Change, Rejection> {
        let before = product.clone();
        if let Some(price) = self.price {
            let _ = product.reprice(price, now)?;
        }
        product.name.clone_from(self.name.as_ref().unwrap_or(&before.name));
        product.description.clone_from(self.description.as_ref().unwrap_or(&before.description));
        product.availability = self.availability.unwrap_or(before.availability);
        product.shipping.clone_from(self.shipping.as_ref().unwrap_or(&before.shipping));
        if *product == before {
            return Ok(Change::NoChange);
        }
        product.updated_at = product.updated_at.max(now);
        Ok(Change::Applied)
    }

    fn audit_entry(&self, at: Timestamp) -> AuditEntry {
        let said = [
            self.name.as_ref().map(|name| format!("name '{name}'")),
            self.description.as_ref().map(|_| "description".to_owned()),
            self.price.map(|price| format!("price {price}")),
            self.availability.map(|availability| availability.to_string()),
            self.reorder_level.map(|level| format!("reorder level {level}")),
            self.shipping.as_ref().map(|_| "shipping facts".to_owned()),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        AuditEntry {
            at,
            actor: self.actor.clone(),
            action: format!("product change: {}", said.join(", ")),
            subject: self.sku.to_string(),
            note: self.note.clone(),
        }
    }
}
